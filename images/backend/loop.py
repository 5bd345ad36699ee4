"""The loop: requests come in, wait in a heap until each is due, and go out.

The invariants:
- The loop owns all descriptors; only `_close` closes a connection. What is due of a closed one is dropped when its turn comes.
- Answers of a connection keep the order of its requests, whatever delays were drawn: none is due before the one ahead of it.
- A request counts as received when the loop learns that it is there, before anything of that turn is done. What the loop itself
  needs is therefore within the delay, not on top of it.
- Who asks faster than it is answered, or does not read, is not read from (back-pressure).
"""

import heapq
import itertools
import select
import socket
import time
from collections.abc import Callable
from typing import Final, Protocol

from backend.delays import Made
from backend.timer import Timer
from common.handler import refusal
from common.head import Request, RequestError
from common.parser import Parser
from common.scoreboard import Scoreboard
from common.sockets import RECEIVE_BYTES, Listener

_MOST_WAITING: Final = 1_024  # answers of one connection that wait, before it is left alone
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_NOT_A_REQUEST: Final = -1
_NOTHING: Final = memoryview(b"")

_clock = time.monotonic_ns


class Stop(Protocol):
    """Tells when to stop: readable once a signal has come."""

    stopping: bool

    def fileno(self) -> int:
        """To wait on."""


class Connection:
    """One connection, and what is still to be said on it."""

    __slots__ = ("closing", "due_ns", "parser", "socket", "unsent", "waiting", "watched")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.parser = Parser()
        self.waiting = 0  # answers in the heap
        self.due_ns = 0  # when the last of them is due
        self.closing = False  # nothing more is read; it is closed when everything is said
        self.unsent = _NOTHING
        self.watched = select.EPOLLIN


class Loop:
    """The whole server.

    Attributes:
        requests: received so far.
        answers: given so far.
        connections: accepted so far.
        made: the delays of these answers.
    """

    def __init__(self, listener: Listener, draw: Callable[[], int], body_bytes: int, stop: Stop) -> None:
        """Ready to run.

        Args:
            listener: where connections come from.
            draw: gives the delay of each request, ns.
            body_bytes: of each answer.
            stop: when to stop.
        """
        self._listener = listener
        self._draw = draw
        self._body = b"x" * body_bytes
        self._stop = stop
        self._timer = Timer()
        self._connections: dict[int, Connection] = {}
        self._due: list[tuple[int, int, Connection, bytes, int]] = []  # (due, number, …, answer, received)
        self._number = itertools.count()
        self._accept_counts = Scoreboard().main
        self._accepting = True
        self._answers = {keep: self._answer(keep) for keep in (False, True)}
        self.requests = self.answers = self.connections = 0
        self.made = Made()
        self._epoll = select.epoll()
        for source in (listener, stop, self._timer):
            self._epoll.register(source, select.EPOLLIN)

    def run(self) -> None:
        """Serve until told to stop; what waits then is not answered any more."""
        while not self._stop.stopping:
            events = self._epoll.poll(self._rest_s())
            now_ns = _clock()
            for fd, event in events:
                connection = self._connections.get(fd)
                if connection is not None:
                    self._attend(connection, event, now_ns)
                elif fd == self._timer.fileno():
                    self._timer.noticed()
                elif fd == self._listener.fileno():
                    self._accept()
            self._answer_due()

    def _rest_s(self) -> float | None:
        """How long the listener, out of descriptors, is to be left alone; none: the loop sleeps until something comes."""
        rest_s = self._listener.rest_left_s()
        if bool(rest_s) == self._accepting:
            self._accepting = not rest_s
            self._epoll.modify(self._listener, select.EPOLLIN if self._accepting else 0)
        return rest_s or None

    def _accept(self) -> None:
        for accepted, _ in self._listener.waiting(self._accept_counts):
            accepted.setblocking(False)
            self.connections += 1
            self._connections[accepted.fileno()] = Connection(accepted)
            self._epoll.register(accepted, select.EPOLLIN)

    def _attend(self, connection: Connection, event: int, now_ns: int) -> None:
        if event & (select.EPOLLHUP | select.EPOLLERR):
            self._close(connection)
            return
        if event & select.EPOLLOUT:
            self._send(connection, b"")
        if event & select.EPOLLIN:
            self._receive(connection, now_ns)

    def _receive(self, connection: Connection, now_ns: int) -> None:
        try:
            data = connection.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        parser = connection.parser
        parser.feed(data)
        try:
            while not connection.closing and (request := parser.next()) is not None:
                self._take(connection, request, now_ns)
            if parser.wants_continue():
                self._enqueue(connection, _CONTINUE, connection.due_ns, _NOT_A_REQUEST)
        except RequestError as error:
            connection.closing = True
            self._enqueue(connection, refusal(error), connection.due_ns, _NOT_A_REQUEST)
        self._watch(connection)

    def _take(self, connection: Connection, request: Request, now_ns: int) -> None:
        """A request is there: its answer goes to where it waits."""
        self.requests += 1
        connection.closing = not request.keep_alive
        answer = self._answers[request.keep_alive]
        if request.method == b"HEAD":
            answer = answer[: len(answer) - len(self._body)]
        self._enqueue(connection, answer, now_ns + self._draw(), now_ns)

    def _enqueue(self, connection: Connection, answer: bytes, due_ns: int, received_ns: int) -> None:
        connection.waiting += 1
        connection.due_ns = max(due_ns, connection.due_ns)
        heapq.heappush(self._due, (connection.due_ns, next(self._number), connection, answer, received_ns))

    def _answer_due(self) -> None:
        """Send what is due by now, and set the timer for what is due next."""
        due = self._due
        while due:
            now_ns = _clock()
            if due[0][0] > now_ns:
                self._timer.set(due[0][0])
                return
            _, _, connection, answer, received_ns = heapq.heappop(due)
            connection.waiting -= 1
            if connection.socket.fileno() < 0:  # closed while it waited
                continue
            if received_ns != _NOT_A_REQUEST:
                self.answers += 1
                self.made.add(now_ns - received_ns)
            self._send(connection, answer)

    def _send(self, connection: Connection, answer: bytes) -> None:
        """Send what the kernel takes; the rest follows when it takes more."""
        data = memoryview(
            b"".join((connection.unsent, answer)) if connection.unsent and answer else answer or connection.unsent
        )
        try:
            sent = connection.socket.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        connection.unsent = data[sent:]
        if connection.closing and not connection.waiting and not connection.unsent:
            self._close(connection)
        else:
            self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        """Watch the connection for what can be done with it now."""
        reading = not connection.closing and not connection.unsent and connection.waiting < _MOST_WAITING
        wanted = (select.EPOLLIN if reading else 0) | (select.EPOLLOUT if connection.unsent else 0)
        if wanted != connection.watched:
            connection.watched = wanted
            self._epoll.modify(connection.socket, wanted)

    def _close(self, connection: Connection) -> None:
        if self._connections.pop(connection.socket.fileno(), None) is not None:
            connection.socket.close()  # its last descriptor, so epoll forgets it too

    def _answer(self, keep_alive: bool) -> bytes:
        ending = b"" if keep_alive else b"Connection: close\r\n"
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n%b\r\n%b" % (
            len(self._body),
            ending,
            self._body,
        )
