"""`harness serve` and `harness load`, as a person uses them."""

import http.client
import json
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.run.conftest import ROOT, Command

pytestmark = pytest.mark.slow
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def a_pool_of(workers: int) -> Iterator[int]:
    """A server of so many blocking workers: each serves one connection until its end; the rest wait in the backlog."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:

        def work() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        while connection.recv(4096):
                            connection.sendall(ANSWER)
                    except OSError:
                        pass

        for _ in range(workers):
            threading.Thread(target=work, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_36_of_100_connections_to_a_pool_of_64_workers_are_reported_as_starved(harness: Command) -> None:
    with a_pool_of(64) as port:
        done = harness(
            "load", f"http://127.0.0.1:{port}/", "--connections", 100, "--window", "3s", "--timeout", "10s", "--json"
        )
    summary = json.loads(done.stdout)
    assert (summary["connections_served"], summary["connections_starved"]) == (64, 36)
    assert summary["state"] != "ok"
    assert "36 starved" in summary["reason"]


def test_load_in_json_has_both_times_with_their_percentiles(harness: Command) -> None:
    with a_pool_of(4) as port:
        done = harness(
            "load", f"http://127.0.0.1:{port}/", "--connections", 4, "--rate", "500/s", "--window", "1s", "--json"
        )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    for time_us in (summary["response_us"], summary["service_us"]):
        assert list(time_us) == ["p50", "p90", "p95", "p99", "p99_9", "p99_99"]
        assert time_us["p50"] > 0
    assert summary["requests"] == summary["ok"] == 500


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["http://127.0.0.1:1/"], 1, "nothing listens"),
        (["https://127.0.0.1:1/"], 1, "nothing listens"),
        (["ftp://127.0.0.1:1/"], 2, "http://host:port"),
        (["http://127.0.0.1:1/", "--window", "5"], 2, "--window"),
        (["http://127.0.0.1:1/", "--rate", "fast"], 2, "--rate"),
        (["http://[::1/"], 2, "URL"),
    ],
)
def test_load_says_in_a_line_what_is_wrong(harness: Command, arguments: list[str], code: int, says: str) -> None:
    done = harness("load", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("runtime", ["process", pytest.param("docker", marks=pytest.mark.docker)])
@pytest.mark.parametrize("model", ["ppc", "tpc", "reactor"])
def test_serve_ends_with_the_exit_report_as_one_line(model: str, runtime: str, number: signal.Signals) -> None:
    port = free_port()
    serving = subprocess.Popen(
        [sys.executable, "-m", "harness", "serve", model, "--port", str(port), "--runtime", runtime, "--body", "7 B"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert serving.stderr is not None
    said = ""
    deadline = time.monotonic() + 60
    while "serves http" not in said and time.monotonic() < deadline:
        ready, _, _ = select.select([serving.stderr], [], [], 1)
        said += serving.stderr.readline() if ready else ""
        assert serving.poll() is None, said
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"x" * 7
        connection.close()
    serving.send_signal(number)
    out, err = serving.communicate(timeout=60)
    assert serving.returncode == 0, err
    assert out.count("\n") == 1
    report = json.loads(out)
    assert (report["requests"], report["connections"]) == (4, 4)  # three, and the proof that it serves


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["reactr", "--port", "18080"], 2, "did you mean `reactor`"),
        (["tpc", "--port", "18080", "--option", "speed=11"], 2, "no such option"),
        (["tpc", "--port", "18080", "--cpu", "fast"], 2, "--cpu"),
        (["tpc", "--port", "99999"], 2, "65535"),
    ],
)
def test_serve_says_in_a_line_what_is_wrong(harness: Command, arguments: list[str], code: int, says: str) -> None:
    done = harness("serve", *arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_on_a_port_in_use_is_one_clear_error(harness: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = harness("serve", "reactor", "--port", taken.getsockname()[1], "--runtime", "process")
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert "Traceback" not in done.stderr
