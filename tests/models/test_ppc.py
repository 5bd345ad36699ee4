"""What only a server that forks can do wrong."""

import fcntl
import os
import signal
import struct
import termios
import threading
from pathlib import Path

import psutil
import pytest

from tests.models.support import GET, GET_AND_CLOSE, PATIENCE_S, Client, Server, counted, serving, wait_for
from tests.models.threads import FAULT, are_silent

pytestmark = pytest.mark.slow

PIPE_BYTES = 64 << 10
EMPTY_ANSWERS = PIPE_BYTES + 500  # more than a pipe holds messages
SHORT_GET = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"


def children(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.pid).children()


def test_what_a_child_counted_outlives_its_crash(folder: Path) -> None:
    with serving("ppc", folder) as server:
        client, other = server.client(), server.client()
        for _ in range(3):
            assert client.ask(GET).status == 200
        wait_for(lambda: len(children(server)) == 2)
        os.kill(min(child.pid for child in children(server)), signal.SIGKILL)
        assert client.at_end()
        assert other.ask(GET).status == 200
        end = server.stop()
    assert (end.requests, end.connections) == (4, 2)


@pytest.mark.parametrize("fault", ["crash", "exit"])
def test_a_handler_that_takes_its_process_down_takes_one_connection_with_it(folder: Path, fault: str) -> None:
    with serving("ppc", folder, fault=fault) as server:
        clients = [server.client() for _ in range(4)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)
        assert clients[0].at_end()
        assert {client.ask(GET).status for client in clients[1:]} == {200}
        assert server.client().ask(GET).status == 200
        end = server.stop()
    assert (end.requests, end.connections) == (4 + 3 + 1, 5)


def test_the_parent_keeps_no_descriptor_of_a_connection(folder: Path) -> None:
    with serving("ppc", folder) as server:
        parent = psutil.Process(server.pid)
        wait_for(lambda: not parent.children())
        before = parent.num_fds()
        clients = [server.client() for _ in range(10)]
        assert {client.ask(GET).status for client in clients} == {200}
        assert parent.num_fds() == before
        assert {child.num_fds() for child in parent.children()} == {4}  # three standard streams and its connection


def test_a_slot_that_is_taken_again_keeps_what_it_held(folder: Path) -> None:
    with serving("ppc", folder) as server:
        for _ in range(20):
            client = server.client()
            assert client.ask(GET).status == 200
            client.close()
            wait_for(lambda: not children(server))
        end = server.stop()
    assert (end.requests, end.forks) == (20, 21)


@pytest.mark.parametrize("stats", ["ipc", "pipe", "off"])
def test_requests_are_counted_exactly_however_the_parent_learns_of_them(folder: Path, stats: str) -> None:
    """Marks taken in the middle of it, at any moment, neither lose a request nor count one twice."""
    with serving("ppc", folder, options={"stats": stats}) as server:
        asking = [threading.Thread(target=_ask, args=(server.client(), 400)) for _ in range(4)]
        for thread in asking:
            thread.start()
        while any(thread.is_alive() for thread in asking):
            server.process.send_signal(signal.SIGUSR1)
            asking[0].join(0.001)
        after = server.client()
        assert after.ask(GET).status == 200
        server.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: not _pending_marks(server) and psutil.Process(server.pid).status() == psutil.STATUS_SLEEPING)
        assert after.ask(GET).status == 200
        end = server.stop()
    assert len(end.marks) > 3
    if stats == "off":
        assert {end.requests, *(mark.requests for mark in end.marks)} == {None}
    else:
        marks = [counted(mark) - 1 for mark in end.marks]  # less the one that asked whether the server is ready
        assert marks == sorted(marks)
        assert (marks[-1], end.requests) == (1_601, 1_602)
    assert end.connections == 5


def _ask(client: Client, times: int) -> None:
    for _ in range(times):
        assert client.ask(GET).status == 200


def _pending_marks(server: Server) -> bool:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines())
    return bool(int(fields["ShdPnd"], 16) >> (signal.SIGUSR1 - 1) & 1)


def test_a_full_pipe_neither_loses_a_request_nor_keeps_the_server_from_ending(folder: Path) -> None:
    with serving("ppc", folder, options={"stats": "pipe"}, body_bytes=0) as server:
        client = server.client()
        assert client.ask(GET).status == 200
        answers: list[int] = []
        reading = threading.Thread(target=lambda: answers.append(_answers_until_the_end(client)))
        server.process.send_signal(signal.SIGSTOP)
        reading.start()
        client.send(SHORT_GET * EMPTY_ANSWERS)
        wait_for(lambda: _told(server) == PIPE_BYTES)
        wait_for(lambda: _unacknowledged(client) == 0)  # what has not arrived at the stop is not answered
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        end = server.stop()
        reading.join(PATIENCE_S)
    assert answers == [EMPTY_ANSWERS]
    assert end.requests == 1 + EMPTY_ANSWERS


def _answers_until_the_end(client: Client) -> int:
    data = bytearray()
    while more := client.socket.recv(1 << 20):
        data += more
    return data.count(b"HTTP/1.1 200 OK\r\n")


def _unacknowledged(client: Client) -> int:
    """Bytes that have been sent and have not arrived yet (SIOCOUTQ, the number of TIOCOUTQ)."""
    left: int = struct.unpack("i", fcntl.ioctl(client.socket, termios.TIOCOUTQ, b"\0" * 4))[0]
    return left


def _told(server: Server) -> int:
    """What waits in the pipe from the children to the parent."""
    for link in Path(f"/proc/{server.pid}/fd").iterdir():
        if str(link.readlink()).startswith("pipe:") and int(link.name) > 2:
            with link.open("rb", buffering=0) as pipe:
                waiting: int = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]
            if waiting > 1_000:  # not the one that signals wake it by
                return waiting
    return 0


def test_children_that_are_killed_have_told_what_they_had_answered(folder: Path) -> None:
    with serving("ppc", folder, options={"stats": "pipe"}) as server:
        clients = [server.client() for _ in range(3)]
        assert {client.ask(GET).status for client in clients} == {200}
        server.process.send_signal(signal.SIGSTOP)
        assert {client.ask(GET).status for client in clients} == {200}
        for child in children(server):
            child.kill()
        server.process.send_signal(signal.SIGCONT)
        end = server.stop()
    assert end.requests == 6


def test_a_parent_that_does_not_close_gathers_descriptors_and_hides_the_end_of_the_stream(folder: Path) -> None:
    with serving("ppc", folder, options={"parent_close": False}) as server:
        parent = psutil.Process(server.pid)
        before = parent.num_fds()
        clients = [server.client() for _ in range(10)]
        answers = [client.ask(GET_AND_CLOSE) for client in clients]
        assert {(answer.status, answer.headers["connection"]) for answer in answers} == {(200, "close")}
        wait_for(lambda: not parent.children())  # so who served it has closed it
        assert parent.num_fds() == before + 10
        assert are_silent(clients[0])
        end = server.stop()
        assert all(client.at_end() for client in clients)
    assert (end.requests, end.connections) == (10, 10)


def test_a_parent_that_has_gathered_all_descriptors_accepts_no_more_and_rests(folder: Path) -> None:
    with serving("ppc", folder, limits=["--nofile=24"], options={"parent_close": False}) as server:
        clients = [server.client() for _ in range(30)]
        for client in clients:
            client.send(GET_AND_CLOSE)
        assert clients[0].response().status == 200
        wait_for(lambda: not children(server))
        assert are_silent(clients[-1])
        end = server.stop()
    assert end.requests is not None
    assert 0 < end.requests < 24
    assert end.requests == end.connections == end.accepts
    assert end.wakeups is not None
    assert end.wakeups < 200  # ten each second, and those of signals
