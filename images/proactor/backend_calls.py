"""Calls to the backend, as chains of completions: connect, send, receive, each with what is left of the call's time.

The invariants:
- A line is a connection to the backend. It carries one call, with one operation in flight, or waits in the pool with
  none. Nobody closes it while it has one in flight: its completion, which the timer may bring about, always comes.
- Nothing watches the pool, which has as many lines as calls were ever under way at once: one that the backend has closed
  is found out, and its descriptor given back, when it is used. If not a byte of an answer came, the call goes out
  once more, on a new line; everything else that goes wrong is the call's failure.
- Each call ends exactly once: `done` is told.
"""

import socket
import time
from collections.abc import Callable

from common.backend import Reply, request_to
from common.config import BackendAddress
from common.scoreboard import BACKEND_CALLS, BACKEND_ERRORS, Counts
from proactor import operations
from proactor.buffers import Buffers
from proactor.connection import Connection
from proactor.ring import Ring
from proactor.tokens import ASKED, CONNECTED, NOBODY, REPLIED, token_of


class _Line:
    """A connection to the backend, and the call that it carries."""

    __slots__ = ("asker", "deadline_s", "duration", "fd", "heard", "kept", "reply")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.kept = False  # it has carried a call before

    def begin(self, asker: Connection, deadline_s: float) -> None:
        """Carry a call."""
        self.asker = asker
        self.deadline_s = deadline_s
        self.duration = b""  # what is left of the time; the kernel reads it from here
        self.heard = False
        self.reply = Reply()


class BackendCalls:
    """The calls of one ring, and the pool of lines."""

    def __init__(
        self,
        address: BackendAddress,
        counts: Counts,
        ring: Ring,
        buffers: Buffers,
        done: Callable[[Connection, bool], None],
    ) -> None:
        """No line is made ahead.

        Args:
            address: of the backend, an IP address.
            counts: of the ring's owner.
            ring: whose completions of the kinds below come to `connected`, `asked` and `replied`.
            buffers: to receive into.
            done: told which connection asked, and whether the answer was right.
        """
        self._address = operations.socket_address(address.host, address.port)
        self._family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._timeout_s = address.timeout_s
        self._request = request_to(address)
        self._counts = counts
        self._ring = ring
        self._buffers = buffers
        self._done = done
        self._lines: dict[int, _Line] = {}
        self._pool: list[_Line] = []

    def ask(self, asker: Connection) -> None:
        """Begin a call."""
        self._counts[BACKEND_CALLS] += 1
        deadline_s = time.monotonic() + self._timeout_s
        if self._pool:
            line = self._pool.pop()
            line.begin(asker, deadline_s)
            self._send(line)
        else:
            self._connect(asker, deadline_s)

    def connected(self, fd: int, result: int, _flags: int) -> None:
        """A connect has completed."""
        line = self._lines[fd]
        if result < 0:
            self._fail(line)
        else:
            self._send(line)

    def asked(self, fd: int, result: int, _flags: int) -> None:
        """A send has completed: the whole request is on its way, or it failed."""
        line = self._lines[fd]
        if result < len(self._request):
            self._fail(line)
        else:
            self._receive(line)

    def replied(self, fd: int, result: int, flags: int) -> None:
        """A receive has completed."""
        line = self._lines[fd]
        if self._buffers.are_used_up(result):
            self._receive(line)
            return
        data = self._buffers.take(flags, result)
        line.heard = line.heard or bool(data)
        line.reply.receive(data)
        if line.reply.right:
            line.kept = True
            self._pool.append(line)
            self._done(line.asker, True)
        elif line.reply.ended or time.monotonic() >= line.deadline_s:  # what is there comes in spite of the timer
            self._fail(line)
        else:
            self._receive(line)

    def _connect(self, asker: Connection, deadline_s: float) -> None:
        try:
            with socket.socket(self._family) as new:
                new.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line = _Line(new.detach())
        except OSError:  # no descriptor is to be had
            self._end(asker)
            return
        self._lines[line.fd] = line
        line.begin(asker, deadline_s)
        self._queue(line, operations.connect(line.fd, self._address, token_of(CONNECTED, line.fd)))

    def _send(self, line: _Line) -> None:
        self._queue(line, operations.send(line.fd, self._request, 0, token_of(ASKED, line.fd)))

    def _receive(self, line: _Line) -> None:
        self._queue(line, operations.receive(line.fd, token_of(REPLIED, line.fd)))

    def _queue(self, line: _Line, operation: bytes) -> None:
        line.duration = operations.duration_of(line.deadline_s - time.monotonic())
        self._ring.queue(operations.within(line.duration, operation, NOBODY))

    def _fail(self, line: _Line) -> None:
        """The operation in flight has completed, so the line may be closed."""
        del self._lines[line.fd]
        self._ring.queue(operations.close(line.fd, NOBODY))
        if line.kept and not line.heard and time.monotonic() < line.deadline_s:
            self._connect(line.asker, line.deadline_s)
        else:
            self._end(line.asker)

    def _end(self, asker: Connection) -> None:
        self._counts[BACKEND_ERRORS] += 1
        self._done(asker, False)
