"""A server of exactly so many requests a second: one at a time, each done at max(arrival, the one before) + 1 / capacity.

`python -m tests.bench.truth.fixed_capacity PORT CAPACITY` serves until SIGTERM. Completions follow an absolute schedule (a
timerfd), so that a late wake-up delays an answer and never the schedule: the capacity is exact, whatever the machine does.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic_ns

from tests.bench.beside import DEADLINE_S, await_port, free_port

ROOT = Path(__file__).resolve().parents[3]
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_NS = 1_000_000_000
_END_OF_HEAD = b"\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class FixedCapacity:
    """The server's loop: GET requests in, answers out when they are due."""

    def __init__(self, port: int, capacity_per_s: float) -> None:
        self._service_ns = _NS / capacity_per_s
        self._free_ns = 0.0  # when the request before is done
        self._due: deque[tuple[float, int]] = deque()  # in their order: when, and on which connection
        self._connections: dict[int, socket.socket] = {}
        self._heads: dict[int, bytes] = {}  # what has come of a request that is not whole yet
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = self._libc.timerfd_create(1, os.O_NONBLOCK)  # CLOCK_MONOTONIC
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._epoll.register(self._timer, select.EPOLLIN)

    def serve(self) -> None:
        """Until the process ends."""
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == self._timer:
                    os.read(self._timer, 8)
                elif descriptor == self._listener.fileno():
                    self._accept()
                else:
                    self._read(descriptor)
            self._answer()

    def _accept(self) -> None:
        connection = self._listener.accept()[0]
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[connection.fileno()], self._heads[connection.fileno()] = connection, b""
        self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _read(self, descriptor: int) -> None:
        try:
            data = self._connections[descriptor].recv(65_536)
        except OSError:
            data = b""
        if not data:
            self._close(descriptor)
            return
        *whole, self._heads[descriptor] = (self._heads[descriptor] + data).split(_END_OF_HEAD)
        now_ns = monotonic_ns()
        for _ in whole:
            self._free_ns = max(self._free_ns, now_ns) + self._service_ns
            self._due.append((self._free_ns, descriptor))

    def _close(self, descriptor: int) -> None:
        """What the connection still waits for is done all the same: the work of a server does not vanish with its client."""
        self._due = deque((at, -1 if of == descriptor else of) for at, of in self._due)
        self._epoll.unregister(descriptor)
        self._heads.pop(descriptor)
        self._connections.pop(descriptor).close()

    def _answer(self) -> None:
        """Answer whatever is due, and set the timer for the next."""
        while self._due and self._due[0][0] <= monotonic_ns():
            _, descriptor = self._due.popleft()
            if descriptor in self._connections:
                try:
                    self._connections[descriptor].send(_ANSWER)
                except OSError:
                    self._close(descriptor)
        if self._due:
            spec = (ctypes.c_long * 4)(0, 0, *divmod(int(self._due[0][0]), _NS))
            self._libc.timerfd_settime(self._timer, _ABSOLUTE, ctypes.byref(spec), None)


@contextmanager
def serving_exactly(core: int, capacity_per_s: float) -> Iterator[int]:
    """Such a server on a core; its port."""
    port = free_port()
    command = ["taskset", "-c", str(core), sys.executable, "-m", "tests.bench.truth.fixed_capacity"]
    with subprocess.Popen([*command, str(port), str(capacity_per_s)], cwd=ROOT) as process:
        try:
            await_port(port)
            yield port
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def main(arguments: Sequence[str]) -> int:
    """Serve."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    FixedCapacity(int(arguments[0]), float(arguments[1])).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
