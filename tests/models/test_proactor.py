"""The proactor: what is in flight, who owns its memory, and what becomes of it when clients, backend or a ring fail."""

import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from proactor.ring import why_not
from tests.hosts.test_needs import FORBIDDING
from tests.models.backends import CalledServer, called_server
from tests.models.support import (
    GET,
    GET_AND_CLOSE,
    IMAGES,
    PATIENCE_S,
    Client,
    counted,
    serving,
    wait_for,
    write_config,
)

MODEL = "proactor"
FAULT = b"GET /-/fault HTTP/1.1\r\nHost: test\r\n\r\n"


def post(body: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.fixture(params=[1, 3], ids=["one ring", "three rings"])
def options(request: pytest.FixtureRequest) -> dict[str, int]:
    return {"processes": int(request.param)}


def test_two_hundred_connections_at_once_are_all_served(folder: Path, options: dict[str, int]) -> None:
    with serving(MODEL, folder, options=options) as server:
        clients = [server.client() for _ in range(200)]
        for _ in range(3):
            for client in clients:
                client.send(GET)
            assert {client.response().status for client in clients} == {200}
        end = server.stop()
        assert all(client.at_end() for client in clients)
    assert (end.requests, end.connections, end.accepts) == (600, 200, 200)


def test_every_ring_accepts_from_the_one_socket(folder: Path) -> None:
    with serving(MODEL, folder, options={"processes": 3}) as server:
        clients = [server.client() for _ in range(150)]
        assert {client.ask(GET).status for client in clients} == {200}
        end = server.stop()
    assert end.connections_by_worker is not None
    assert len(end.connections_by_worker) == 3
    assert sum(end.connections_by_worker) == 151
    assert min(end.connections_by_worker) > 0


@pytest.mark.slow
def test_slow_readers_of_large_bodies_hold_up_nobody(folder: Path, options: dict[str, int]) -> None:
    size = 16 << 20
    with serving(MODEL, folder, options=options, body_bytes=size) as server:
        slow = [server.client() for _ in range(12)]
        for client in slow:
            client.send(GET)
        quick = server.client()
        assert len(quick.ask(GET).body) == size
        for client in slow:
            assert client.response().body == b"x" * size
        assert server.stop().requests == 13


@pytest.mark.slow
def test_a_body_larger_than_all_buffers_comes_back_as_it_was_sent(folder: Path) -> None:
    pattern = bytes(range(256)) * 4_096  # 1 MiB; a piece out of place shows
    body = b"".join(number.to_bytes(4, "big") + pattern for number in range(40))
    with serving(MODEL, folder, kind="echo") as server:
        client = server.client()
        sender = threading.Thread(target=client.send, args=(post(body),))
        sender.start()
        assert client.response().body == body
        sender.join(PATIENCE_S)


@pytest.mark.slow
def test_more_bodies_at_once_than_there_are_buffers_all_arrive(folder: Path) -> None:
    with serving(MODEL, folder, kind="echo") as server:
        clients = [server.client() for _ in range(600)]
        bodies = [b"%06d" % number * 8_000 for number in range(len(clients))]
        server.process.send_signal(signal.SIGSTOP)  # all of it is there when the next turn begins
        for client, body in zip(clients, bodies, strict=True):
            client.send(post(body))
        server.process.send_signal(signal.SIGCONT)
        for client, body in zip(clients, bodies, strict=True):
            assert client.response().body == body


@pytest.mark.slow
def test_more_operations_than_the_ring_holds_are_handed_over_in_turns(folder: Path) -> None:
    with serving(MODEL, folder, limits=["--nofile=4096"]) as server:
        clients = [server.client() for _ in range(2_500)]
        assert {client.ask(GET).status for client in clients} == {200}
        server.process.send_signal(signal.SIGSTOP)
        for client in clients:
            client.send(GET)
        server.process.send_signal(signal.SIGCONT)
        assert {client.response().status for client in clients} == {200}
        end = server.stop()  # which cancels a receive of each of them
        assert all(client.at_end() for client in clients)
    assert (end.requests, end.connections) == (5_000, 2_500)


@pytest.mark.slow
def test_out_of_descriptors_clients_wait_for_their_turn(folder: Path, options: dict[str, int]) -> None:
    with serving(MODEL, folder, limits=["--nofile=32"], options=options) as server:
        clients = [server.client() for _ in range(200)]
        for client in clients:
            client.send(GET_AND_CLOSE)
        assert {client.response().status for client in clients} == {200}
        assert server.stop().requests == 200


def test_no_client_gets_what_is_another_s_when_connections_are_reset_in_between(folder: Path) -> None:
    """Descriptors are given again at once: a completion must never reach the next owner of its number."""
    reset = struct.pack("ii", 1, 0)
    with serving(MODEL, folder, kind="echo") as server:
        for number in range(300):
            body = b"%d " % number * 5_000
            client = server.client()
            if number % 3:
                client.send(post(body)[: len(body) // 2])
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            elif number % 2:
                client.send(post(body))
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            else:
                assert client.ask(post(body)).body == body
            client.close()
        assert server.client().ask(post(b"last")).body == b"last"


@pytest.mark.slow
def test_two_thousand_connections_leave_no_descriptor_and_no_memory(folder: Path) -> None:
    with serving(MODEL, folder) as server:
        process = psutil.Process(server.pid)

        def serve_two_thousand() -> tuple[int, int]:
            for number in range(2_000):
                client = Client(server.port)
                assert client.ask(GET_AND_CLOSE if number % 2 else GET).status == 200
                client.close()
            wait_for(lambda: process.num_fds() == before)
            return process.num_fds(), process.memory_info().rss

        first = server.client()
        assert first.ask(GET_AND_CLOSE).status == 200
        assert first.at_end()  # so the server has closed it, and the one before it
        before = process.num_fds()
        _, rss = serve_two_thousand()
        fds, later_rss = serve_two_thousand()
        assert fds == before
        assert later_rss - rss < 1 << 20
        assert server.stop().requests == 4_001


def test_a_crash_takes_the_connections_of_one_ring_and_that_ring_is_replaced(folder: Path) -> None:
    with serving(MODEL, folder, options={"processes": 3}, fault="crash") as server:
        clients = [server.client() for _ in range(60)]
        assert {client.ask(GET).status for client in clients} == {200}
        first = psutil.Process(server.pid).children()
        clients[0].send(FAULT)
        assert clients[0].at_end()
        alive = [client for client in clients[1:] if answers(client)]
        assert 0 < len(alive) < 59
        wait_for(
            lambda: len(set(psutil.Process(server.pid).children()) - set(first)) == 1
        )  # a dead one is a child, too
        assert server.client().ask(GET).status == 200
        end = server.stop()
    assert end.forks == 4
    assert end.requests == 60 + len(alive) + 1


def answers(client: Client) -> bool:
    try:
        return client.ask(GET).status == 200
    except (EOFError, ConnectionError):
        return False


def test_calls_to_the_backend_wait_side_by_side(folder: Path, options: dict[str, int]) -> None:
    with called_server() as backend, serving(MODEL, folder, options=options, backend=backend.address()) as server:
        backend.together = 40
        clients = [server.client() for _ in range(40)]
        for client in clients:
            client.send(GET)
        assert {client.response().status for client in clients} == {200}
        end = server.stop()
    assert backend.most_at_once == 40
    assert (end.backend_calls, end.backend_errors) == (41, 0)


def test_the_connection_to_the_backend_is_kept(folder: Path) -> None:
    with called_server() as backend, serving(MODEL, folder, backend=backend.address()) as server:
        client = server.client()
        assert {client.ask(GET).status for _ in range(20)} == {200}
        client.send(GET * 5)  # one answer at a time, each with a call of its own
        assert [client.response().status for _ in range(5)] == [200] * 5
        assert server.stop().backend_calls == 26
    assert (backend.calls, backend.connections) == (26, 1)


def test_a_kept_connection_that_the_backend_has_closed_costs_a_new_one_and_no_request(folder: Path) -> None:
    with called_server() as backend, serving(MODEL, folder, backend=backend.address()) as server:
        backend.hangs_up = True
        client = server.client()
        assert [client.ask(GET).status for _ in range(10)] == [200] * 10
        end = server.stop()
    assert (end.backend_calls, end.backend_errors) == (11, 0)
    assert backend.connections > 5


FAILURES: dict[str, Callable[[CalledServer], None]] = {
    "it never answers": lambda backend: setattr(backend, "answer", b""),
    "it answers 500": lambda backend: setattr(backend, "answer", b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
    "it answers half": lambda backend: setattr(backend, "answer", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
    "it refuses": lambda backend: backend.stop(),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_call_is_a_502_and_counted(folder: Path, failure: str) -> None:
    with called_server() as backend, serving(MODEL, folder, backend=backend.address(timeout_s=0.3)) as server:
        FAILURES[failure](backend)
        clients = [server.client() for _ in range(3)]
        for client in clients:
            client.send(GET)
        assert [client.response().status for client in clients] == [502] * 3
        end = server.stop()
    assert (end.requests, end.bad_requests) == (0, 3)
    assert (end.backend_calls, end.backend_errors) == (4, 3)


def test_a_stop_waits_for_the_backend_s_answer(folder: Path, options: dict[str, int]) -> None:
    with called_server() as backend, serving(MODEL, folder, options=options, backend=backend.address()) as server:
        backend.delay_s = 0.5
        clients = [server.client() for _ in range(10)]
        for client in clients:
            client.send(GET)
        wait_for(lambda: backend.at_once == 10)
        assert counted(server.stop()) == 10
        assert {client.response().status for client in clients} == {200}


@pytest.mark.slow
def test_a_stop_does_not_wait_for_a_backend_that_is_silent(folder: Path, options: dict[str, int]) -> None:
    with called_server() as backend, serving(MODEL, folder, options=options, backend=backend.address(60.0)) as server:
        backend.answer = b""
        client = server.client()
        client.send(GET)
        wait_for(lambda: backend.calls == 2)
        assert counted(server.stop()) == 0
        assert client.at_end()


def test_connections_in_flight_at_the_stop_are_answered_if_their_request_was_there(
    folder: Path, options: dict[str, int]
) -> None:
    with serving(MODEL, folder, options=options) as server:
        clients = [server.client() for _ in range(30)]
        assert {client.ask(GET).status for client in clients} == {200}
        rings = psutil.Process(server.pid).children() or [psutil.Process(server.pid)]
        for ring in rings:
            ring.suspend()
        for client in clients:
            client.send(GET)
        server.process.send_signal(signal.SIGTERM)
        for ring in rings:
            ring.resume()
        assert {client.response().status for client in clients} == {200}
        assert all(client.at_end() for client in clients)
        assert counted(server.stop()) == 60


def test_a_refused_client_that_goes_on_sending_can_still_read_why(folder: Path) -> None:
    with serving(MODEL, folder) as server:
        client = server.client()
        client.send(b"NO SUCH THING\r\n\r\n" + b"x" * 500_000)
        assert client.response().status == 400
        assert client.at_end()
        assert server.client().ask(GET).status == 200


@pytest.mark.slow
def test_a_refused_client_that_never_stops_sending_is_closed_though_its_bytes_are_always_there_first(
    folder: Path,
) -> None:
    with serving(MODEL, folder, cpu_iterations=200_000) as server:
        done = threading.Event()

        def keep_busy() -> None:
            client = server.client()
            while not done.is_set():
                assert client.ask(GET).status == 200

        busy = [threading.Thread(target=keep_busy) for _ in range(12)]
        for thread in busy:
            thread.start()
        endless = server.client()
        endless.send(b"NO SUCH THING\r\n\r\n")
        try:
            assert _is_cut_off(endless)
        finally:
            done.set()
            for thread in busy:
                thread.join(PATIENCE_S)


def _is_cut_off(client: Client) -> bool:
    """Whether sending, without a pause, ever fails."""
    deadline_s = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < deadline_s:
            client.send(b"x" * (1 << 20))
    except ConnectionError:
        return True
    return False


WHY_NOT = {
    "no io_uring": (errno.ENOSYS, None, ["no io_uring (ENOSYS)", "CONFIG_IO_URING"]),
    "too old": (errno.EINVAL, None, ["too old (EINVAL)", "6.1"]),
    "switched off": (errno.EPERM, "2\n", ["kernel.io_uring_disabled is 2", "sysctl -w"]),
    "for the privileged only": (errno.EPERM, "1\n", ["kernel.io_uring_disabled is 1", "sysctl -w"]),
    "forbidden": (errno.EPERM, "0\n", ["seccomp", "seccomp.json"]),
    "forbidden, on an old kernel": (errno.EPERM, None, ["seccomp", "seccomp.json"]),
    "no memory": (errno.ENOMEM, None, ["Cannot allocate memory"]),
}


@pytest.mark.parametrize("name", WHY_NOT)
def test_the_server_itself_names_the_knob(tmp_path: Path, name: str) -> None:
    error, setting, words = WHY_NOT[name]
    sysctl = tmp_path / "io_uring_disabled"
    if setting is not None:
        sysctl.write_text(setting)
    assert all(word in why_not(error, sysctl) for word in words)


@pytest.mark.parametrize(("error", "word"), [(errno.EPERM, "seccomp"), (errno.ENOSYS, "ENOSYS")])
def test_where_io_uring_is_forbidden_the_server_ends_with_one_line(folder: Path, error: int, word: str) -> None:
    write_config(folder, MODEL)
    done = subprocess.run(
        [sys.executable, str(FORBIDDING), str(error), sys.executable, "server.py", str(folder)],
        cwd=IMAGES / MODEL,
        env={**os.environ, "PYTHONPATH": str(IMAGES)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("proactor: ")
    assert word in done.stderr
    assert done.stderr.count("\n") == 1
