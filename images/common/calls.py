"""Calls to the backend for a loop that must not wait: a pool of kept connections, watched by the loop's own epoll.

The invariants:
- A connection carries one call at a time; as many are open as calls were ever under way at once. The one that was used
  last is used next, so those that are not needed grow old, and the backend may close them.
- Every call has one deadline, and comes to its end exactly once, right or not: `done` is called.
- A kept connection may turn out to be closed when it is used. If not a byte of an answer came, the call goes out once
  more, on a new connection; everything else that goes wrong is the call's failure.
"""

import select
import socket
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from common.backend import Reply, request_to
from common.config import BackendAddress
from common.scoreboard import BACKEND_CALLS, BACKEND_ERRORS, Counts
from common.sockets import RECEIVE_BYTES

Asker = TypeVar("Asker")

_READ: Final = select.EPOLLIN
_WRITE: Final = select.EPOLLOUT


class _Call(Generic[Asker]):
    """One call, which may change its connection once."""

    __slots__ = ("asker", "deadline_s", "link")

    def __init__(self, asker: Asker, deadline_s: float) -> None:
        self.asker = asker
        self.deadline_s = deadline_s
        self.link: _Link[Asker] | None = None


class _Link(Generic[Asker]):
    """One connection to the backend: new, busy with a call, or kept."""

    __slots__ = ("call", "kept", "reply", "socket", "unsent")

    def __init__(self, connection: socket.socket, call: _Call[Asker], request: bytes) -> None:
        self.socket = connection
        self.kept = False  # it has carried a call before
        self.begin(call, request)

    def begin(self, call: _Call[Asker], request: bytes) -> None:
        """Be busy with a call."""
        self.call: _Call[Asker] | None = call
        self.reply = Reply()
        self.unsent = request
        call.link = self


class Calls(Generic[Asker]):
    """The calls of one loop."""

    def __init__(
        self, address: BackendAddress, counts: Counts, epoll: select.epoll, done: Callable[[Asker, bool], None]
    ) -> None:
        """No connection is made ahead.

        Args:
            address: of the backend. A name is looked up for each new connection, and the loop waits for that.
            counts: of the loop.
            epoll: what the loop sleeps on; for its descriptors that the loop does not know it calls `ready`.
            done: told who asked and whether the answer was right, within `ready` or `left_s` (or within `ask`, where
                not even a connection could be begun).
        """
        self._address = address
        self._counts = counts
        self._epoll = epoll
        self._done = done
        self._request = request_to(address)
        self._links: dict[int, _Link[Asker]] = {}  # by descriptor, busy and kept
        self._kept: list[_Link[Asker]] = []
        self._under_way: dict[_Call[Asker], None] = {}  # a set in the order of beginning, hence of deadlines
        self._look_s = 0.0  # when the first deadline may have come

    def ask(self, asker: Asker) -> None:
        """Begin a call."""
        self._counts[BACKEND_CALLS] += 1
        call = _Call(asker, time.monotonic() + self._address.timeout_s)
        if not self._under_way:
            self._look_s = call.deadline_s
        self._under_way[call] = None
        if self._kept:
            link = self._kept.pop()
            link.begin(call, self._request)
            self._send(link)
        else:
            self._connect(call)

    def ready(self, fd: int) -> None:
        """The loop's epoll has reported a descriptor that may be ours."""
        link = self._links.get(fd)
        if link is None:
            return  # closed in this same turn
        if link.unsent:
            self._send(link)
        else:
            self._receive(link)

    def left_s(self) -> float | None:
        """Give up on calls whose time is over, and return how long the loop may sleep; None: for ever."""
        now_s = time.monotonic() if self._under_way else 0.0
        while self._under_way and now_s >= self._look_s:
            first = next(iter(self._under_way))
            self._look_s = first.deadline_s
            if now_s >= first.deadline_s and first.link is not None:
                self._drop(first.link)
                self._end(first, right=False)
        return self._look_s - now_s if self._under_way else None

    def close(self) -> None:
        """Close all connections; whoever still waits is told nothing."""
        self._under_way.clear()
        for link in tuple(self._links.values()):
            self._drop(link)

    def _connect(self, call: _Call[Asker]) -> None:
        address = self._address
        try:
            connection = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
        except OSError:  # no descriptor is to be had
            self._end(call, right=False)
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = self._links[connection.fileno()] = _Link(connection, call, self._request)
        try:
            connection.connect_ex((address.host, address.port))  # if it is refused, sending says so
            self._epoll.register(connection, _WRITE)
        except OSError:  # the name has no address
            self._drop(link)
            self._end(call, right=False)

    def _send(self, link: _Link[Asker]) -> None:
        try:
            sent = link.socket.send(link.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._fail(link)
            return
        link.unsent = link.unsent[sent:]
        if not link.kept:
            self._epoll.modify(link.socket, _WRITE if link.unsent else _READ)  # and READ it stays, kept or busy
        elif link.unsent:
            self._fail(link)  # what does not even take a request now is not worth waiting for

    def _receive(self, link: _Link[Asker]) -> None:
        try:
            data = link.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if link.call is None:  # kept, and closed by the backend; or it says what nobody has asked
            self._kept.remove(link)
            self._drop(link)
            return
        link.reply.receive(data)
        if link.reply.right:
            call, link.call = link.call, None
            link.kept = True
            self._kept.append(link)
            self._end(call, right=True)
        elif link.reply.ended:
            self._fail(link)

    def _fail(self, link: _Link[Asker]) -> None:
        call = link.call
        again = link.kept and not link.reply.begun
        self._drop(link)
        if call is not None and again:
            self._connect(call)
        elif call is not None:
            self._end(call, right=False)

    def _drop(self, link: _Link[Asker]) -> None:
        del self._links[link.socket.fileno()]
        link.socket.close()

    def _end(self, call: _Call[Asker], *, right: bool) -> None:
        del self._under_way[call]
        if not right:
            self._counts[BACKEND_ERRORS] += 1
        self._done(call.asker, right)
