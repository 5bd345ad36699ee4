"""The epoll loop: one thread, many connections. The kernel says who is ready; nothing else ever waits.

The invariants:
- The loop owns all descriptors, and only `_close` closes one. Every connection stands in the table from accept to close.
- No socket blocks. What the kernel does not take at once is kept in the connection's `unsent`.
- A connection is watched for one thing: for reading, or, while something is unsent or unanswered, for writing. Who
  does not read our answers is not read from either (back-pressure), so what we keep for it is bounded.
- While its answer is made elsewhere (by the backend, by a worker thread) a connection is watched for nothing.
- Level-triggered: what one turn leaves is reported again in the next, so a turn may do as much or as little as
  is fair. It does one recv for each connection.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Callable

from common.blocking import FINISH_S, LINGER_S
from common.calls import Calls
from common.scoreboard import WAKEUPS, Counts
from common.service import Service
from common.session import Life
from common.sockets import RECEIVE_BYTES
from reactor.parts import ALL_SENT, NOTHING, READ, WRITE, Connection, Conversation, Elsewhere, Source


class Reactor:
    """The loop and the table of connections.

    Attributes:
        epoll: what it sleeps on.
        elsewhere: see `Elsewhere`. Where the handler has a backend: non-blocking calls, watched by this loop.
        converse: begins the conversation with a new client, whose address it is given.
    """

    def __init__(self, service: Service, source: Source, counts: Counts) -> None:
        self.epoll = select.epoll()
        self.elsewhere: Elsewhere | None = None
        self.converse: Callable[[str], Conversation] = lambda peer: service.session(peer, counts)
        self._service = service
        self._source = source
        self._counts = counts
        self._accepting = True
        self._connections: dict[int, Connection] = {}
        self._lingering: deque[tuple[float, Connection]] = deque()  # by deadline, the next one first
        self.epoll.register(source, READ)
        if (backend := service.config.handler.backend) is not None:
            self.elsewhere = Calls(backend, counts, self.epoll, self.resume)

    def run(self, life: Life) -> None:
        """Serve until that is over. Whatever ends it has to wake the loop."""
        while not life.stopping:
            self._turn(self._timeout_s())

    def finish(self) -> None:
        """Accept no more, answer what has been received, close everything."""
        self._source.close()
        for connection in tuple(self._connections.values()):
            if connection.watched == READ:
                self._read(connection)
                if connection.watched == READ:  # idle, or lingering
                    self._close(connection)
        deadline_s = time.monotonic() + FINISH_S
        while self._connections and (left_s := deadline_s - time.monotonic()) > 0:
            self._turn(min(left_s, self._deadline_left_s() or left_s))
        for connection in tuple(self._connections.values()):
            self._close(connection)
        if self.elsewhere is not None:
            self.elsewhere.close()

    def take(self) -> None:
        """Take over the connections that wait."""
        for accepted, peer in self._source.waiting(self._counts):
            accepted.setblocking(False)
            self._connections[accepted.fileno()] = Connection(accepted, self.converse(peer))
            self.epoll.register(accepted, READ)

    def resume(self, connection: Connection, right: bool) -> None:
        """What a connection asked for is there, rightly or not: go on with it, unless the client has gone."""
        if connection.socket.fileno() in self._connections:  # a closed socket's is -1
            self._send(connection, connection.session.resume(right))

    def _turn(self, timeout_s: float | None) -> None:
        """Sleep until something is ready, and do what each ready descriptor is watched for.

        A report may be stale (closed and taken anew in the same turn); then the socket says that it would block.
        """
        events = self.epoll.poll(timeout_s)
        self._counts[WAKEUPS] += 1
        connections = self._connections
        for fd, _ in events:
            connection = connections.get(fd)
            if connection is None:
                self._not_a_connection(fd)
            elif connection.watched == READ:
                self._read(connection)
            elif connection.watched == WRITE:
                self._send(connection, connection.unsent or connection.session.receive(b""))
            else:
                self._close(connection)  # reset while its answer is made, which then finds it gone

    def _not_a_connection(self, fd: int) -> None:
        if fd == self._source.fileno():
            self.take()
        elif fd == self._service.fileno():
            self._service.noticed()
        elif self.elsewhere is not None:
            self.elsewhere.ready(fd)

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
        session = connection.session
        if output:
            try:
                sent = connection.socket.send(output)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._close(connection)
                return
            if sent < len(output):
                connection.unsent = memoryview(output)[sent:]
                self._watch(connection, WRITE)
                return
            connection.unsent = ALL_SENT
        elif session.asking and self.elsewhere is not None:
            self._watch(connection, NOTHING)
            self.elsewhere.ask(connection)
            return
        if session.closing:
            self._end(connection)
        elif session.behind:
            self._watch(connection, WRITE)
        elif connection.watched != READ:
            self._watch(connection, READ)

    def _watch(self, connection: Connection, what: int) -> None:
        if connection.watched != what:
            connection.watched = what
            self.epoll.modify(connection.socket, what)

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
        """How long the loop may sleep: for ever, but for deadlines and a source that rests."""
        rest_s = self._source.rest_left_s()
        if bool(rest_s) == self._accepting:
            self._accepting = not rest_s
            self.epoll.modify(self._source, READ if self._accepting else NOTHING)
        if not self._lingering and self.elsewhere is None:
            return rest_s or None
        deadline_s = self._deadline_left_s()
        return min(deadline_s, rest_s or deadline_s) if deadline_s is not None else rest_s or None

    def _deadline_left_s(self) -> float | None:
        """Do what is due by now; how long until the next is, if any."""
        left_s = None if self.elsewhere is None else self.elsewhere.left_s()
        now_s = time.monotonic() if self._lingering else 0.0
        while self._lingering and self._lingering[0][0] <= now_s:
            self._close(self._lingering.popleft()[1])
        if not self._lingering:
            return left_s
        linger_s = self._lingering[0][0] - now_s
        return linger_s if left_s is None else min(linger_s, left_s)
