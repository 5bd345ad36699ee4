"""What reactors promise: nobody waits for anybody else's slowness, and each variant breaks as its model says."""

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.models.backends import called_server
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

VARIANTS: dict[str, Mapping[str, object]] = {
    "single": {"variant": "single"},
    "threads": {"variant": "main-sub", "loops_in": "threads"},
    "processes": {"variant": "main-sub", "loops_in": "processes"},
    "pool": {"variant": "pool"},
    "uvloop": {"variant": "uvloop"},
}
NON_BLOCKING = [name for name in VARIANTS if name != "pool"]
MAIN_SUB = ["threads", "processes"]
FAULT = b"GET /-/fault HTTP/1.1\r\nHost: test\r\n\r\n"
POST_LARGE = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n"
variants = pytest.mark.parametrize("variant", VARIANTS)


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
    assert [counted(mark) for mark in end.marks] in (
        [4_001],
        [4_002],
    )  # with that of the readiness check; the last may race


@pytest.mark.slow
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


@pytest.mark.parametrize("variant", MAIN_SUB)
def test_connections_go_to_the_sub_loops_in_turn(folder: Path, variant: str) -> None:
    with serving("reactor", folder, options={**VARIANTS[variant], "loops": 3}) as server:
        clients = [server.client() for _ in range(29)]
        assert {client.ask(GET).status for client in clients} == {200}
        end = server.stop()
    assert end.connections_by_worker is not None
    assert sorted(end.connections_by_worker) == [10, 10, 10]  # with that of the readiness check
    assert (end.forks, end.threads) == ((3, 0) if variant == "processes" else (0, 3))


@pytest.mark.parametrize("variant", NON_BLOCKING)
def test_one_loop_has_a_hundred_calls_to_the_backend_under_way_at_once(folder: Path, variant: str) -> None:
    """The backend answers none of them before it has seen all, so a loop that waited for one would wait for ever."""
    with (
        called_server() as backend,
        serving("reactor", folder, options={**VARIANTS[variant], "loops": 1}, backend=backend.address()) as server,
    ):
        backend.together = 100
        clients = [server.client() for _ in range(100)]
        for client in clients:
            client.send(GET)
        assert {client.response().status for client in clients} == {200}
        end = server.stop()
    assert (backend.most_at_once, end.backend_calls, end.backend_errors) == (100, 101, 0)


def test_each_worker_of_a_pool_has_a_call_to_the_backend_under_way(folder: Path) -> None:
    with (
        called_server() as backend,
        serving("reactor", folder, options={"variant": "pool", "threads": 5}, backend=backend.address()) as server,
    ):
        backend.together = 5
        clients = [server.client() for _ in range(20)]
        for client in clients:
            client.send(GET)
        assert {client.response().status for client in clients} == {200}
        end = server.stop()
    assert (backend.most_at_once, end.backend_calls, end.backend_errors) == (5, 21, 0)


@variants
def test_calls_of_a_pipeline_are_made_one_after_another_on_a_kept_connection(folder: Path, variant: str) -> None:
    options = {**VARIANTS[variant], "loops": 1, "threads": 1}
    with called_server() as backend, serving("reactor", folder, options=options, backend=backend.address()) as server:
        client = server.client()
        client.send(GET * 10)
        assert {client.response().status for _ in range(10)} == {200}
        assert client.ask(GET).status == 200
        end = server.stop()
    assert (backend.calls, backend.connections, backend.most_at_once) == (12, 1, 1)
    assert (end.requests, end.backend_calls) == (11, 12)


@variants
def test_a_backend_that_closes_kept_connections_costs_no_call(folder: Path, variant: str) -> None:
    options = VARIANTS[variant]
    with called_server() as backend, serving("reactor", folder, options=options, backend=backend.address()) as server:
        backend.hangs_up = True
        client = server.client()
        assert {client.ask(GET).status for _ in range(50)} == {200}
        end = server.stop()
    assert (end.backend_calls, end.backend_errors) == (51, 0)


@variants
def test_a_call_that_fails_is_a_502_and_counted(folder: Path, variant: str) -> None:
    options = VARIANTS[variant]
    with called_server() as backend, serving("reactor", folder, options=options, backend=backend.address()) as server:
        backend.answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
        assert server.client().ask(GET).status == 502
        backend.stop()
        assert server.client().ask(GET).status == 502
        end = server.stop()
    assert (end.requests, end.bad_requests, end.backend_calls, end.backend_errors) == (0, 2, 3, 2)


@variants
def test_a_backend_that_says_nothing_is_given_up_on_in_time_while_others_are_served(folder: Path, variant: str) -> None:
    options = VARIANTS[variant]
    with (
        called_server() as backend,
        serving("reactor", folder, options=options, backend=backend.address(1.0)) as server,
    ):
        backend.together = 6
        silent = [server.client() for _ in range(5)]
        for client in silent:
            client.send(GET)
        wait_for(lambda: backend.at_once == 5)
        assert {client.response().status for client in silent} == {502}
        backend.together = 1
        assert server.client().ask(GET).status == 200
        end = server.stop()
    assert (end.requests, end.backend_errors) == (1, 5)


@variants
def test_a_client_that_leaves_while_the_backend_is_asked_leaves_nothing_behind(folder: Path, variant: str) -> None:
    options = VARIANTS[variant]
    with called_server() as backend, serving("reactor", folder, options=options, backend=backend.address()) as server:
        assert server.client().ask(GET_AND_CLOSE).status == 200
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
        backend.together = 7  # more than there are, until we say so
        leaving = [server.client() for _ in range(6)]
        for client in leaving:
            client.send(GET)
        wait_for(lambda: backend.at_once == 6)
        for client in leaving[:3]:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        for client in leaving:
            client.close()
        assert server.client().ask(GET_AND_CLOSE).status == 200  # the seventh: now all are answered
        wait_for(lambda: not any(_established(process, server.port) for process in family))
        end = server.stop()
    assert (end.backend_calls, end.backend_errors) == (9, 0)


@pytest.mark.parametrize("variant", ["single", "threads", "pool", "uvloop"])
def test_a_crash_takes_every_connection_of_the_process(folder: Path, variant: str) -> None:
    with serving("reactor", folder, options=VARIANTS[variant], fault="crash") as server:
        clients = [server.client() for _ in range(6)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)
        assert all(client.at_end() for client in clients)
        assert server.process.wait(PATIENCE_S) == -signal.SIGSEGV


def test_a_crash_in_a_process_takes_its_loops_connections_and_the_loop_is_replaced(folder: Path) -> None:
    with serving("reactor", folder, options=VARIANTS["processes"], fault="crash") as server:
        clients = [server.client() for _ in range(6)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)
        assert all(client.at_end() for client in clients[0::2])
        assert {client.ask(GET).status for client in clients[1::2]} == {200}
        assert {server.client().ask(GET).status for _ in range(4)} == {200}
        end = server.stop()
    assert (end.requests, end.connections, end.forks) == (13, 10, 3)


def test_what_was_handed_to_a_process_that_dies_is_served_by_its_successor(folder: Path) -> None:
    with serving("reactor", folder, options={**VARIANTS["processes"], "loops": 1}) as server:
        (sub,) = psutil.Process(server.pid).children()
        sub.suspend()
        clients = [server.client() for _ in range(5)]
        for client in clients:
            client.send(GET)
        main = psutil.Process(server.pid)
        wait_for(
            lambda: not _established(main, server.port)
        )  # the main loop has handed them over, and closed its copies
        sub.kill()
        assert {client.response().status for client in clients} == {200}
        assert server.stop().requests == 5


def test_while_the_inbox_of_the_only_loop_is_full_clients_wait_and_then_all_are_served(folder: Path) -> None:
    with serving("reactor", folder, options={**VARIANTS["processes"], "loops": 1}) as server:
        main = psutil.Process(server.pid)
        (sub,) = main.children()
        sub.suspend()
        clients = [server.client() for _ in range(500)]
        wait_for(lambda: bool(_established(main, server.port)))  # one that the main loop holds because nobody takes it
        for client in clients:
            client.send(GET)
        sub.resume()
        assert {client.response().status for client in clients} == {200}
        end = server.stop()
    assert (end.requests, end.connections) == (500, 500)


@pytest.mark.parametrize("fault", ["hang", "exit"])
def test_a_process_that_hangs_or_ends_costs_its_own_connections_only(folder: Path, fault: str) -> None:
    with serving("reactor", folder, options=VARIANTS["processes"], fault=fault) as server:
        clients = [server.client() for _ in range(4)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)
        assert {clients[1].ask(GET).status for _ in range(3)} == {200}
        assert server.stop().requests == 7


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["threads", "pool"])
def test_a_thread_that_hangs_leaves_the_others_at_work_and_does_not_keep_the_process(
    folder: Path, variant: str
) -> None:
    with serving("reactor", folder, options=VARIANTS[variant], fault="hang") as server:
        clients = [server.client() for _ in range(4)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)
        assert {client.ask(GET).status for client in clients[1::2] for _ in range(3)} == {200}
        assert server.stop().requests == 10


@pytest.mark.slow
def test_a_deadlock_of_two_workers_stops_the_whole_pool_but_not_its_end(folder: Path) -> None:
    with serving("reactor", folder, options=VARIANTS["pool"], fault="deadlock") as server:
        clients = [server.client() for _ in range(4)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)

        def stuck() -> bool:
            probe = server.client()
            probe.socket.settimeout(0.5)
            try:
                return probe.ask(GET_AND_CLOSE).status != 200
            except TimeoutError:
                return True

        wait_for(stuck)
        server.stop()


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


@pytest.mark.slow
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


def _established(process: psutil.Process, port: int) -> list[object]:
    """Connections of a process on the server's port, in whatever state, but for the listening socket."""
    sockets = process.net_connections("tcp")
    return [one for one in sockets if one.laddr.port == port and one.status != psutil.CONN_LISTEN]
