"""What reactors promise: nobody waits for anybody else's slowness, and every variant counts and ends as the contract says."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.models.reactors import VARIANTS, variants
from tests.models.support import (
    GET,
    GET_AND_CLOSE,
    HANDLER,
    IMAGES,
    PATIENCE_S,
    all_options,
    counted,
    serving,
    wait_for,
    write_config,
)

pytestmark = pytest.mark.slow

POST_LARGE = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n"


@variants
def test_each_variant_answers_marks_and_counts_exactly(folder: Path, variant: str) -> None:
    with serving("reactor", folder, options=VARIANTS[variant]) as server:
        clients = [server.client() for _ in range(20)]
        for client in clients:
            client.send(GET * 200)  # more than a batch of answers
        assert {client.response().status for client in clients for _ in range(200)} == {200}
        server.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: server.client().ask(GET_AND_CLOSE).status == 200)
        end = server.stop()
        assert all(client.at_end() for client in clients)
    assert (end.requests, end.connections, end.accepts, end.bad_requests) == (4_001, 21, 21, 0)
    (mark,) = end.marks
    assert counted(mark) in (4_001, 4_002)  # with the readiness check, and perhaps with the request that came after it


@variants
def test_a_client_that_does_not_read_its_large_answer_keeps_nobody_waiting(folder: Path, variant: str) -> None:
    body = b"0123456789abcdef" * (4 << 20)  # 64 MiB
    with serving("reactor", folder, options=VARIANTS[variant], kind="echo") as server:
        slow = server.client()
        slow.send(POST_LARGE % len(body) + body)
        assert slow.socket.recv(1, socket.MSG_PEEK)  # the answer has begun
        others = [server.client() for _ in range(50)]
        for _ in range(3):
            assert {other.ask(POST_LARGE % 5 + b"hello").body for other in others} == {b"hello"}
        answer = bytearray()
        while len(answer) < len(body) or not answer.endswith(body[-16:]):
            answer += slow.socket.recv(1 << 20)
        assert answer.endswith(body)
        assert server.stop().requests == 151


@variants
def test_who_pipelines_and_does_not_read_is_not_read_from(folder: Path, variant: str) -> None:
    with serving("reactor", folder, options=VARIANTS[variant], body_bytes=1 << 20) as server:
        client = server.client()
        client.socket.settimeout(1.0)
        with suppress(TimeoutError):  # nobody takes what we send, so in the end it is not sent
            while True:
                client.send(GET * 1_000)
        assert psutil.Process(server.pid).memory_info().rss < 200 << 20
        assert server.client().ask(GET).status == 200


@pytest.mark.parametrize("variant", ["threads", "processes"])
def test_connections_go_to_the_sub_loops_in_turn(folder: Path, variant: str) -> None:
    with serving("reactor", folder, options={**VARIANTS[variant], "loops": 3}) as server:
        clients = [server.client() for _ in range(29)]
        assert {client.ask(GET).status for client in clients} == {200}
        end = server.stop()
    assert end.connections_by_worker is not None
    assert sorted(end.connections_by_worker) == [10, 10, 10]  # with that of the readiness check
    assert (end.forks, end.threads) == ((3, 0) if variant == "processes" else (0, 3))


@variants
def test_a_stop_answers_what_was_received_while_the_loop_was_busy(folder: Path, variant: str) -> None:
    options = {**VARIANTS[variant], "loops": 1, "threads": 1}
    with serving("reactor", folder, options=options, cpu_iterations=1_000_000) as server:
        clients = [server.client() for _ in range(3)]
        assert {client.ask(GET).status for client in clients} == {200}
        for client in clients:
            client.send(GET)
        end = server.stop()
        assert {client.response().status for client in clients} == {200}
    assert end.requests == 6


def test_a_process_out_of_descriptors_leaves_its_connections_in_the_inbox(folder: Path) -> None:
    options = {**VARIANTS["processes"], "loops": 1}
    with serving("reactor", folder, limits=["--nofile=32"], options=options) as server:
        clients = [server.client() for _ in range(60)]
        for client in clients:
            client.send(GET)
        served = [clients[number].response().status for number in range(10)]
        for client in clients[:10]:
            client.close()
        for number in range(10, 60):
            served.append(clients[number].response().status)
            clients[number].close()
        assert served == [200] * 60
        end = server.stop()
    assert end.requests == 60
    assert end.wakeups is not None
    assert end.wakeups < 5_000


def test_without_uvloop_its_variant_says_so_in_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError('not installed')")
    write_config(folder, "reactor", handler=HANDLER, options=all_options("reactor", {"variant": "uvloop"}))
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{IMAGES}"}
    done = subprocess.run(
        [sys.executable, "server.py", str(folder)],
        cwd=IMAGES / "reactor",
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("reactor: variant uvloop cannot be had: not installed")
    assert done.stderr.count("\n") == 1
