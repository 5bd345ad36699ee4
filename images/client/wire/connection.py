"""The socket of a slot once it is open: reading, writing and closing it on the event loop.

Its first answer is read, as it was opened (client/wire/opening.py), as a plain non-blocking socket: nothing stands between the connect and the
first byte. A connection that is kept is then handed to a transport of the loop, whose reads cost a third less. Sends
always go straight to the socket: a transport queues a write until the end of the loop's turn, so that a stamp taken
beside the call would precede the send by a whole batch of other connections' work. With TLS it stays as it is to its end.
"""

import asyncio
import contextlib
import socket
import time

from client.books import outcome
from client.wire.opening import READ_BYTES, Opening
from client.wire.shared import Shared
from client.wire.states import CONNECTING, SETTLING
from client.wire.tls import BLOCKED

_clock = time.monotonic_ns


class Connection(Opening):
    """At most one open socket. It alone owns the descriptor: opens it, closes it, and puts it on the loop."""

    __slots__ = (
        "_connected",
        "_fast",
        "_request",
        "_request_length",
        "_transport",
        "_unwritten",
        "held",
    )

    def __init__(self, number: int, shared: Shared) -> None:
        super().__init__(number, shared)
        self._request = b""  # the one that is out, or was last
        self._request_length = 0
        self._transport: asyncio.Transport | None = None
        self._connected = False
        self._unwritten = memoryview(b"")
        self._fast = False  # a request is out, nothing of its answer is in, and a plain answer needs no second look
        self.held = False  # there is a connection, and it has been answered on

    def close(self) -> None:
        """Let go of the socket, if there is one, and take leave without waiting; no request may be under way."""
        if self._connected and (farewell := self._session.farewell()):
            with contextlib.suppress(OSError):
                self._send(farewell)
        self._disconnect()

    def _settled(self) -> None:
        """A transport reads from now on."""
        raise NotImplementedError

    def _broken(self, ending: int, now_ns: int) -> None:
        """The socket is of no further use, whether or not a request is under way."""
        raise NotImplementedError

    def eof_received(self) -> None:
        """The server has closed its side."""
        self._broken(outcome.CLOSED, _clock())

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport has gone; without an error it was our own doing, or told before."""
        if isinstance(exc, OSError):
            self._broken(outcome.of_error(exc.errno), _clock())

    def _watch(self) -> None:
        """Read the socket itself, from now on."""
        self._connected = True
        self._shared.opened += 1
        self._shared.connected += 1
        self._shared.loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        """There is something to read, and no transport yet."""
        try:
            data = self._recv(READ_BYTES)
        except BLOCKED:
            return
        except OSError as error:
            self._broken(outcome.of_error(error.errno), _clock())
            return
        if data:
            self.data_received(data)
        else:
            self.eof_received()

    def _settle(self, made: socket.socket) -> None:
        """Hand the reading to a transport; `_settled` follows. No request may be under way."""
        if self._shared.tls is not None:
            self._settled()
            return
        self.state = SETTLING
        self._shared.loop.remove_reader(self._fd)
        task = self._shared.loop.create_task(self._hand_over(made))
        self._shared.tasks.add(task)
        task.add_done_callback(self._shared.tasks.discard)

    async def _hand_over(self, made: socket.socket) -> None:
        try:
            transport, _ = await self._shared.loop.create_connection(lambda: self, sock=made)
        except OSError as error:
            made.close()
            if self._socket is made:
                self._broken(outcome.of_error(error.errno), _clock())
            return
        if self._socket is made:
            self._transport = transport
            self._settled()
        else:
            transport.abort()  # the server has closed it in the meantime

    def _write(self) -> None:
        """Send the request, or as much of it as the kernel takes."""
        try:
            written = self._send(self._request)
        except OSError as error:
            self._unsendable(error)
            return
        if written != self._request_length:
            self._write_rest_later(written)

    def _unsendable(self, error: OSError) -> None:
        """The kernel took nothing of the request: for now, or for good."""
        if isinstance(error, BLOCKED):
            self._write_rest_later(0)
        else:
            self._fail(outcome.of_error(error.errno), _clock())

    def _write_rest_later(self, written: int) -> None:
        self._fast = False
        rest = memoryview(self._request)[written:]
        if self._transport is not None:
            self._transport.write(rest)
        else:
            self._unwritten = rest
            self._shared.loop.add_writer(self._fd, self._write_rest)

    def _all_written(self) -> bool:
        """Whether the kernel has the whole request."""
        return not (self._unwritten or (self._transport and self._transport.get_write_buffer_size()))

    def _write_rest(self) -> None:
        try:
            self._unwritten = self._unwritten[self._send(self._unwritten) :]
        except BLOCKED:
            return
        except OSError as error:
            self._broken(outcome.of_error(error.errno), _clock())
            return
        if not self._unwritten:
            self._shared.loop.remove_writer(self._fd)

    def _disconnect(self) -> None:
        made, self._socket = self._socket, None
        if made is None:
            return
        self._fast = False
        self._shared.connected -= self._connected
        self._shared.held -= self.held
        self.held = False
        if self._unwritten or self.state == CONNECTING:
            self._shared.loop.remove_writer(self._fd)
            self._unwritten = memoryview(b"")
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        elif self.state != SETTLING:  # the hand-over closes what it finds abandoned
            if self._connected or self.state == CONNECTING:
                self._shared.loop.remove_reader(self._fd)
            made.close()
        self._connected = False
