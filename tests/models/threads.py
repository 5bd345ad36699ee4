"""What tests of servers with threads share: the cases, who serves a connection, clients at once, a backend."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import psutil
import pytest

from tests.models.support import PATIENCE_S, Client, Server

FAULT = b"GET /-/fault HTTP/1.1\r\nHost: test\r\n\r\n"
SILENCE_S = 1.0  # who has had no answer for so long is taken to wait; never the other way round
VARIANTS = ("handoff", "accept")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Case:
    """A server with threads."""

    model: str
    options: dict[str, str | int] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.model, *map(str, self.options.values())])


def prethread(variant: str, processes: int, threads: int = 2) -> Case:
    return Case("prethread", {"variant": variant, "processes": processes, "threads": threads})


TPC = Case("tpc")
ONE_PROCESS = [TPC, *(prethread(variant, 1, 8) for variant in VARIANTS)]
THREE_PROCESSES = [prethread(variant, 3) for variant in VARIANTS]
each_prethread = pytest.mark.parametrize(
    "case", [*(prethread(variant, 1) for variant in VARIANTS), *THREE_PROCESSES], ids=str
)
each_in_one_process = pytest.mark.parametrize("case", ONE_PROCESS, ids=str)
each_in_three_processes = pytest.mark.parametrize("case", THREE_PROCESSES, ids=str)
each_with_several_threads = pytest.mark.parametrize(
    "case", [TPC, prethread("handoff", 1, 8), prethread("accept", 3)], ids=str
)
each_case = pytest.mark.parametrize("case", ONE_PROCESS + THREE_PROCESSES, ids=str)


def owners(server: Server, clients: Sequence[Client]) -> list[int]:
    """The process that serves each connection. They must have been answered once, so that they have been accepted."""
    main = psutil.Process(server.pid)
    by_port = {
        connection.raddr.port: process.pid
        for process in main.children() or [main]
        for connection in process.net_connections("tcp4")
        if connection.raddr
    }
    return [by_port[client.socket.getsockname()[1]] for client in clients]


def are_silent(*clients: Client) -> bool:
    """Whether the server neither says anything to one of these clients nor closes."""
    readable, _, _ = select.select([client.socket for client in clients], [], [], SILENCE_S)
    return not readable


def at_once(calls: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """What the calls return, each made by a thread of its own."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(PATIENCE_S * 2) for future in [pool.submit(call) for call in calls]]


class SlowBackend:
    """A backend that answers only once so many have asked at the same time.

    Attributes:
        connections: accepted in all.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._together = threading.Barrier(1)

    def answer_only(self, together: int) -> None:
        """From now on."""
        self._together = threading.Barrier(together)

    def run(self) -> None:
        """Until it is stopped."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def stop(self) -> None:
        """Close everything; further calls fail."""
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):  # ended already
                one.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                assert data.endswith(b"\r\n\r\n")
                self._together.wait(PATIENCE_S)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


@contextlib.contextmanager
def slow_backend() -> Iterator[SlowBackend]:
    backend = SlowBackend()
    thread = threading.Thread(target=backend.run)
    thread.start()
    try:
        yield backend
    finally:
        backend.stop()
        thread.join(PATIENCE_S)
