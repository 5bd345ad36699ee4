"""The loop over one ring: what has completed, and what is started next.

The invariants:
- A connection has one operation in flight: a receive, or a send, or none while it waits for the backend. So nothing more
  is received while an answer is unsent (back-pressure), and what we keep for a client is bounded.
- Memory of an operation in flight is the kernel's. What is to be sent stays referenced, and unchanged, in
  `Connection.lent` until its completion; buffers to receive into are lent by the ring, all together (`buffers.py`).
- No descriptor is closed while an operation on it is in flight: closing does not end the operation, which would go on
  on a socket that we can no longer name, while its number is given to the next client. Cancel first; the completion
  comes, and then the close. So the table below always knows whose completion it is.
"""

import errno
import socket
import time
from collections.abc import Callable
from typing import Final

from common.blocking import FINISH_S, LINGER_S
from common.scoreboard import WAKEUPS, Counts
from common.service import Service
from common.sockets import Listener
from proactor import operations, tokens
from proactor.accepting import Accepting
from proactor.backend_calls import BackendCalls
from proactor.buffers import Buffers
from proactor.connection import Connection
from proactor.ring import Ring
from proactor.tokens import NOBODY, RECEIVED, SENT, token_of

FINISH: Final = operations.duration_of(FINISH_S)

Handler = Callable[[int, int, int], None]  # given the token's owner, the result, and flags


class Proactor:
    """A ring and the table of connections."""

    def __init__(self, service: Service, listener: Listener, counts: Counts) -> None:
        self._service = service
        self._counts = counts
        self._ring = Ring()
        self._buffers = Buffers(self._ring)
        self._accepting = Accepting(self._ring, listener, counts, self._take)
        self._connections: dict[int, Connection] = {}
        self._given_up = False
        handlers: dict[int, Handler] = {
            RECEIVED: self._received,
            SENT: self._sent,
            tokens.ACCEPTED: self._accepting.accepted,
            tokens.RESTED: self._accepting.rested,
            tokens.WOKEN: self._woken,
            tokens.GAVE_UP: self._give_up,
        }
        self._calls: BackendCalls | None = None
        if (address := service.config.handler.backend) is not None:
            self._calls = calls = BackendCalls(address, counts, self._ring, self._buffers, self._resume)
            handlers |= {tokens.CONNECTED: calls.connected, tokens.ASKED: calls.asked, tokens.REPLIED: calls.replied}
        self._handlers = [handlers.get(kind, _disregard) for kind in range(tokens.KINDS)]

    def run(self) -> None:
        """Serve until the service is to stop."""
        self._await_signal()
        self._accepting.start()
        while not self._service.stopping:
            self._turn()

    def finish(self) -> None:
        """Accept no more, answer what has been received, close everything."""
        self._ring.queue(operations.timer(FINISH, token_of(tokens.GAVE_UP)))
        self._accepting.stop()
        for fd in self._connections:  # those that send, or ask the backend, have nothing to cancel
            self._ring.queue(operations.cancel(token_of(RECEIVED, fd), NOBODY))
        while self._connections or self._accepting.in_flight:
            if self._given_up:
                self._ring.queue(operations.cancel_all(NOBODY))
            self._turn()

    def _turn(self) -> None:
        """Start everything that is queued, sleep until something has completed, handle it."""
        handlers = self._handlers
        for token, result, flags in self._ring.turn():
            handlers[token & tokens.KIND](token >> tokens.KIND_BITS, result, flags)
        self._counts[WAKEUPS] += 1

    def _take(self, fd: int, peer: str) -> None:
        """A new connection."""
        self._connections[fd] = connection = Connection(fd, self._service.session(peer, self._counts))
        self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        if connection.ended:
            connection.lent = operations.duration_of(connection.deadline_s - time.monotonic())
            self._ring.queue(operations.within(connection.lent, connection.receive, NOBODY))
        elif self._service.stopping:  # what is there already is taken, and nothing is waited for
            fd = connection.fd
            self._ring.queue(operations.receive(fd, token_of(RECEIVED, fd), socket.MSG_DONTWAIT))
        else:
            self._ring.queue(connection.receive)

    def _received(self, fd: int, result: int, flags: int) -> None:
        connection = self._connections[fd]
        data = self._buffers.take(flags, result)
        if data and not connection.ended:
            self._send(connection, connection.session.receive(data))
        elif (data or self._is_to_be_repeated(connection, result)) and time.monotonic() < connection.deadline_s:
            self._receive(connection)
        else:
            self._close(connection)

    def _is_to_be_repeated(self, connection: Connection, result: int) -> bool:
        """Whether a receive without data was not the client's doing: one cancelled is followed by a last look."""
        cancelled = result == -errno.ECANCELED and not (connection.ended or self._given_up)
        return cancelled or self._buffers.are_used_up(result)

    def _send(self, connection: Connection, answer: bytes) -> None:
        if answer:
            connection.lent, connection.sent = answer, 0
            self._ring.queue(operations.send(connection.fd, answer, 0, token_of(SENT, connection.fd)))
        else:
            self._go_on(connection)

    def _sent(self, fd: int, result: int, _flags: int) -> None:
        connection = self._connections[fd]
        connection.sent += result
        if result > 0 and connection.sent == len(connection.lent):
            connection.lent = b""
            self._go_on(connection)
        elif result > 0 and not self._given_up:
            self._ring.queue(operations.send(fd, connection.lent, connection.sent, token_of(SENT, fd)))
        else:
            self._close(connection)

    def _go_on(self, connection: Connection) -> None:
        """Nothing is in flight: start what comes next."""
        session = connection.session
        if session.asking and self._calls is not None:
            self._calls.ask(connection)
        elif session.closing:
            self._end(connection)
        elif session.behind:
            self._send(connection, session.receive(b""))
        else:
            self._receive(connection)

    def _resume(self, connection: Connection, right: bool) -> None:
        """The backend has answered, or will not."""
        if self._connections.get(connection.fd) is connection:
            self._send(connection, connection.session.resume(right))

    def _end(self, connection: Connection) -> None:
        """Close, after letting the client stop sending where it may still be (why: `_linger` in blocking.py)."""
        if not connection.session.lingering or self._given_up:
            self._close(connection)
            return
        connection.ended = True
        connection.deadline_s = time.monotonic() + LINGER_S
        operations.end_stream(connection.fd)
        self._receive(connection)

    def _close(self, connection: Connection) -> None:
        """Nothing is in flight, so the descriptor may go."""
        del self._connections[connection.fd]
        self._ring.queue(operations.close(connection.fd, NOBODY))

    def _await_signal(self) -> None:
        self._ring.queue(operations.readable(self._service.fileno(), token_of(tokens.WOKEN)))

    def _woken(self, _owner: int, _result: int, _flags: int) -> None:
        self._service.noticed()
        self._await_signal()

    def _give_up(self, _owner: int, _result: int, _flags: int) -> None:
        """Time is up. What is in flight will be cancelled, and completes; who waits for the backend has nothing there."""
        self._given_up = True
        for connection in tuple(self._connections.values()):
            if connection.session.asking and not connection.lent:
                self._close(connection)


def _disregard(_owner: int, _result: int, _flags: int) -> None:
    """Of a timer or a cancellation: the operation that it was for has a completion of its own."""
