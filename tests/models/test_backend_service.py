"""The backend alone: answers after the delay that was asked for, in order, whatever is asked at once."""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import config, delays
from backend.delays import Made
from harness.histogram import bounds_of, index_of
from harness.raw import BackendReport
from harness.spec.contract import BackendConfig
from tests.models.support import GET, GET_AND_CLOSE, IMAGES, PATIENCE_S, Client, signalled, wait_for

CONSTANT = {"distribution": "constant", "delay_s": 0.0}


class Backend:
    """A running backend."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        settings = BackendConfig.model_validate(
            {"host": "127.0.0.1", "port": self.port, "body_bytes": 5, "seed": 7, **CONSTANT, **changes}
        )
        self.folder = folder
        (folder / "out").mkdir(parents=True)
        (folder / "config.json").write_text(settings.model_dump_json())
        self.process = start(folder)
        self.clients: list[Client] = []
        wait_for(self._listens)

    def client(self) -> Client:
        self.clients.append(Client(self.port))
        return self.clients[-1]

    def stop(self) -> BackendReport:
        self.process.send_signal(signal.SIGTERM)
        assert (self.process.wait(PATIENCE_S), self.process.stderr.read() if self.process.stderr else "") == (0, "")
        return BackendReport.model_validate_json((self.folder / "out" / "exit.json").read_text())

    def end(self) -> None:
        for client in self.clients:
            client.close()
        self.process.kill()
        self.process.communicate()

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()[1]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def start(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "main.py", str(folder)],
        cwd=IMAGES / "backend",
        env={**os.environ, "PYTHONPATH": str(IMAGES)},
        stderr=subprocess.PIPE,
        text=True,
    )


Make = Callable[..., Backend]


@pytest.fixture
def backend(folder: Path) -> Iterator[Make]:
    made: list[Backend] = []

    def make(**changes: Any) -> Backend:
        made.append(Backend(folder / str(len(made)), **changes))
        return made[-1]

    yield make
    for one in made:
        one.end()


def delays_s(report: BackendReport) -> list[float]:
    """Every delay that was made, each as the lowest value of its bucket."""
    return [bounds_of(index)[0] / 1e9 for index, count in report.delays_ns.items() for _ in range(count)]


def test_an_answer_has_the_size_that_was_asked_for_and_the_connection_is_kept(backend: Make) -> None:
    client = backend(body_bytes=300_000).client()
    answers = [client.ask(GET) for _ in range(3)]
    assert [(answer.status, len(answer.body)) for answer in answers] == [(200, 300_000)] * 3


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET_AND_CLOSE,
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    ],
)
def test_a_connection_that_is_not_to_be_kept_is_closed_after_the_answer(backend: Make, request_bytes: bytes) -> None:
    client = backend(delay_s=0.01).client()
    assert client.ask(request_bytes).status == 200
    assert client.at_end()


def test_a_malformed_request_is_refused_after_the_answers_that_are_still_due(backend: Make) -> None:
    client = backend(delay_s=0.05).client()
    client.send(GET + b"nonsense\r\n\r\n")
    assert [client.response().status, client.response().status] == [200, 400]
    assert client.at_end()


@pytest.mark.parametrize("delay_s", [0.001, 0.05])
def test_no_answer_comes_before_its_time(backend: Make, delay_s: float) -> None:
    running = backend(delay_s=delay_s)
    client = running.client()
    for _ in range(20):
        began_s = time.monotonic()
        client.ask(GET)
        assert time.monotonic() - began_s >= delay_s
    made = delays_s(running.stop())
    assert len(made) == 20
    assert min(made) >= delay_s * (1 - 1 / 1_024)  # a bucket's width


def test_calls_wait_side_by_side_and_not_one_after_another(backend: Make) -> None:
    running = backend(delay_s=0.5)
    began_s = time.monotonic()
    clients = [running.client() for _ in range(200)]
    for client in clients:
        client.send(GET)
    assert {client.response().status for client in clients} == {200}
    assert time.monotonic() - began_s < 200 * 0.5 / 4
    report = running.stop()
    assert (report.requests, report.answers) == (200, 200)


def test_pipelined_requests_are_answered_in_their_order_whatever_the_delays(backend: Make) -> None:
    client = backend(distribution="bimodal", slow_s=0.05, slow_share=0.5).client()
    client.send((GET + b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n") * 20)
    for _ in range(20):
        assert client.response().body == b"xxxxx"
        assert client.response(head_only=True).body == b""


def draws_of(folder: Path, number: int, **changes: Any) -> list[int]:
    """The first delays that a configuration gives, ns."""
    folder.mkdir(exist_ok=True)
    settings = {"host": "h", "port": 1, "body_bytes": 1, "seed": 3, **changes}
    (folder / "config.json").write_text(BackendConfig.model_validate(settings).model_dump_json())
    draw = delays.draws(config.read(folder / "config.json"))
    return [draw() for _ in range(number)]


def test_the_same_seed_gives_the_same_delays(folder: Path) -> None:
    first, second, other = (
        draws_of(folder, 50, distribution="exponential", delay_s=0.01, seed=seed) for seed in (1, 1, 2)
    )
    assert first == second != other


@pytest.mark.parametrize(
    ("changes", "mean_s", "slow"),
    [
        ({"distribution": "constant", "delay_s": 0.01}, 0.01, 0.0),
        ({"distribution": "exponential", "delay_s": 0.01}, 0.01, 0.37),  # a share of 1 / e lies beyond the mean
        ({"distribution": "bimodal", "delay_s": 0.01, "slow_s": 0.1, "slow_share": 0.2}, 0.028, 0.2),
    ],
)
def test_delays_are_drawn_as_the_distribution_says(
    folder: Path, changes: dict[str, Any], mean_s: float, slow: float
) -> None:
    drawn_s = [delay_ns / 1e9 for delay_ns in draws_of(folder, 20_000, **changes)]
    assert sum(drawn_s) / len(drawn_s) == pytest.approx(mean_s, rel=0.03)
    assert sum(delay_s > 0.01 for delay_s in drawn_s) / len(drawn_s) == pytest.approx(slow, abs=0.015)


def test_its_histogram_has_the_layout_that_the_harness_reads() -> None:
    for value in (0, 1, 1_023, 1_024, 2_047, 2_048, 4_097, 10**6 + 7, 10**9, 60 * 10**9):
        made = Made()
        made.add(value)
        assert made.sparse() == {index_of(value): 1}


def test_what_still_waits_is_dropped_when_its_client_goes(backend: Make) -> None:
    running = backend(delay_s=0.2)
    gone, stays = running.client(), running.client()
    gone.send(GET * 10)
    stays.send(GET)
    wait_for(lambda: sent_everything(gone))
    gone.close()
    assert stays.response().status == 200
    report = running.stop()
    assert report.answers == 1
    assert report.connections == 3  # and the one that looked whether it listens


def test_a_stop_asked_for_again_and_again_is_the_same_stop(backend: Make) -> None:
    server = backend()
    assert server.client().ask(GET).status == 200
    with signalled(server.process, signal.SIGTERM, signal.SIGINT):
        assert server.process.wait(PATIENCE_S) == 0
    assert (server.folder / "out" / "exit.json").exists()


def sent_everything(client: Client) -> bool:
    """Whether the kernel has handed all that was sent to the other side."""
    unacknowledged = fcntl.ioctl(client.socket, termios.TIOCOUTQ, b"\0" * 4)
    return struct.unpack("i", unacknowledged) == (0,)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"delay_s": -1}, "delay_s"),
        ({"slow_share": 2}, "slow_share"),
        ({"distribution": "normal"}, "distribution"),
        ({"port": 0}, "port"),
        ({"port": True}, "port"),
        ({"format": 2}, "format"),
        ({"host": 4}, "host"),
        ({"speed": 1}, "exactly"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_status_2(folder: Path, change: dict[str, Any], says: str) -> None:
    right = {"host": "127.0.0.1", "port": 1, "body_bytes": 1, "seed": 1, **CONSTANT}
    wrong = {**BackendConfig.model_validate(right).model_dump(), **change}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(wrong))
    process = start(folder)
    _, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert says in error
    assert error.count("\n") == 1


def test_a_port_in_use_is_one_line_and_status_1(backend: Make, folder: Path) -> None:
    running = backend()
    again = folder / "again"
    (again / "out").mkdir(parents=True)
    (again / "config.json").write_bytes((running.folder / "config.json").read_bytes())
    process = start(again)
    _, error = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "in use" in error
    assert error.count("\n") == 1
