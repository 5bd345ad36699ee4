"""Reactor: one thread, one epoll loop, many connections. The kernel says who is ready; nothing else ever waits.

The invariants:
- The loop owns all descriptors, and only `close` closes one. Every connection stands in the table from accept to close.
- No socket blocks. What the kernel does not take at once is kept in the connection's `unsent`.
- A connection is watched for one thing: for reading, or, while something is unsent or unanswered, for writing. Who
  does not read our answers is not read from either (back-pressure), so what we keep for it is bounded.
- Level-triggered: what one turn leaves is reported again in the next, so a turn may do as much or as little as
  is fair. It does one recv for each connection.
"""

import select
import socket
import time
from collections import deque
from typing import Final

from common.blocking import FINISH_S, LINGER_S
from common.scoreboard import WAKEUPS
from common.service import Service
from common.session import Session
from common.sockets import RECEIVE_BYTES, Listener

READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT
NOTHING: Final = memoryview(b"")


class Connection:
    """One connection: its socket, its conversation, and what the kernel has not taken yet."""

    __slots__ = ("ended", "session", "socket", "unsent", "watched")

    def __init__(self, connection: socket.socket, session: Session) -> None:
        self.socket = connection
        self.session = session
        self.unsent = NOTHING
        self.watched = READ
        self.ended = False  # we have said that nothing more comes, and read away what still does (lingering)


class Reactor:
    """The loop and the table of connections."""

    def __init__(self, service: Service, listener: Listener) -> None:
        self._service = service
        self._listener = listener
        self._accepting = True
        self._connections: dict[int, Connection] = {}
        self._lingering: deque[tuple[float, Connection]] = deque()  # by deadline, the next one first
        self._epoll = select.epoll()
        self._epoll.register(listener, READ)
        self._epoll.register(service, READ)

    def run(self) -> None:
        """Serve until the service is to stop."""
        while not self._service.stopping:
            self._turn(self._timeout_s())

    def finish(self) -> None:
        """Accept no more, answer what has been received, close everything."""
        self._listener.close()
        for connection in tuple(self._connections.values()):
            if connection.watched == READ:
                self._read(connection)
                if connection.watched == READ:  # idle, or lingering
                    self._close(connection)
        deadline_s = time.monotonic() + FINISH_S
        while self._connections and (left_s := deadline_s - time.monotonic()) > 0:
            self._turn(left_s)
        for connection in tuple(self._connections.values()):
            self._close(connection)

    def _turn(self, timeout_s: float | None) -> None:
        """Sleep until something is ready, and do what each ready descriptor is watched for.

        A report may be stale (closed and taken anew in the same turn); then the socket says that it would block.
        """
        events = self._epoll.poll(timeout_s)
        self._service.counts[WAKEUPS] += 1
        connections = self._connections
        for fd, _ in events:
            connection = connections.get(fd)
            if connection is None:
                self._accept_or_notice(fd)
            elif connection.watched == READ:
                self._read(connection)
            else:
                self._send(connection, connection.unsent or connection.session.receive(b""))

    def _accept_or_notice(self, fd: int) -> None:
        if fd == self._service.fileno():
            self._service.noticed()
        elif fd == self._listener.fileno():
            for accepted, peer in self._listener.waiting(self._service.counts):
                accepted.setblocking(False)
                session = self._service.session(peer, self._service.counts)
                self._connections[accepted.fileno()] = Connection(accepted, session)
                self._epoll.register(accepted, READ)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
        elif not connection.ended:
            self._send(connection, connection.session.receive(data))

    def _send(self, connection: Connection, output: bytes | memoryview) -> None:
        """Send what the kernel takes, and watch for what must come next."""
        sent = 0
        try:
            sent = connection.socket.send(output) if output else 0
        except BlockingIOError:
            pass
        except OSError:
            self._close(connection)
            return
        session = connection.session
        if sent < len(output):
            connection.unsent = memoryview(output)[sent:]
            self._watch(connection, WRITE)
            return
        connection.unsent = NOTHING
        if session.closing:
            self._end(connection)
        elif session.behind:
            self._watch(connection, WRITE)
        elif connection.watched != READ:
            self._watch(connection, READ)

    def _watch(self, connection: Connection, what: int) -> None:
        if connection.watched != what:
            connection.watched = what
            self._epoll.modify(connection.socket, what)

    def _end(self, connection: Connection) -> None:
        """Close, after letting the client stop sending where it may still be (why: `_linger` in blocking.py)."""
        if not connection.session.lingering:
            self._close(connection)
            return
        connection.ended = True
        self._lingering.append((time.monotonic() + LINGER_S, connection))
        self._watch(connection, READ)
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        if self._connections.pop(connection.socket.fileno(), None) is not None:
            connection.socket.close()  # its last descriptor, so epoll forgets it too

    def _timeout_s(self) -> float | None:
        """How long the loop may sleep: for ever, but for lingering connections and a listener that rests."""
        rest_s = self._listener.rest_left_s()
        if bool(rest_s) == self._accepting:
            self._accepting = not rest_s
            self._epoll.modify(self._listener, READ if self._accepting else 0)
        if not self._lingering:
            return rest_s or None
        now_s = time.monotonic()
        while self._lingering and self._lingering[0][0] <= now_s:
            self._close(self._lingering.popleft()[1])
        next_s = self._lingering[0][0] - now_s if self._lingering else LINGER_S
        return min(next_s, rest_s or next_s)


def main() -> None:
    """The whole server."""
    service = Service.start()
    reactor = Reactor(service, service.listen())
    reactor.run()
    reactor.finish()
    service.finish()


if __name__ == "__main__":
    main()
