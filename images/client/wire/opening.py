"""How the socket of a slot comes to be open: the connect, the handshake of TLS, and what the protocol wants said first.

Each step waits on the event loop for as long as the request's deadline lets it: whoever watches that calls `_fail`.
"""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable

from client.books import outcome
from client.protocols.base import ProtocolError, Session
from client.wire.shared import Shared
from client.wire.states import CONNECTING, IDLE
from client.wire.tls import BLOCKED

READ_BYTES = 16_384  # with TLS: the largest record, so that nothing is ever left behind within the library

_clock = time.monotonic_ns


class Opening(asyncio.Protocol):
    """At most one open socket, from nothing to where a request can be sent."""

    __slots__ = ("_address", "_fd", "_recv", "_send", "_session", "_shared", "_socket", "state")

    _recv: Callable[[int], bytes]
    _send: Callable[[bytes | memoryview], int]

    def __init__(self, number: int, shared: Shared) -> None:
        self._shared = shared
        self._address = shared.address_of(number)
        self._session: Session = shared.wire.session()  # what is said on the socket; a new one for each
        self._socket: socket.socket | None = None
        self._fd = -1
        self.state = IDLE

    def _opened(self, began_ns: int) -> None:
        """The connection is there; it began at that time."""
        raise NotImplementedError

    def _fail(self, ending: int, now_ns: int) -> None:
        """The request under way ends like this."""
        raise NotImplementedError

    def _connect(self, now_ns: int) -> None:
        """Begin to open it; `_opened` or `_fail` follows, perhaps before this returns."""
        family, address = self._address
        self.state = CONNECTING
        try:
            made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        except OSError as error:  # open files or memory ran out
            self._refuse(error.errno or 0)
            return
        self._socket, self._fd = made, made.fileno()
        self._recv, self._send = made.recv, made.send
        self._session = self._shared.wire.session()
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._shared.sources is not None:
            try:
                self._shared.sources.bind(made)
            except OSError as error:
                self._refuse(error.errno or 0)
                return
        number = made.connect_ex(address)
        if number == 0:  # on loopback the handshake is over before the call returns
            self._reached(made, now_ns)
        elif number == errno.EINPROGRESS:
            self._shared.loop.add_writer(self._fd, self._connect_ended, made, now_ns)
        else:
            self._refuse(number)

    def _connect_ended(self, made: socket.socket, began_ns: int) -> None:
        self._shared.loop.remove_writer(self._fd)
        number = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._refuse(number)
        else:
            self._reached(made, began_ns)

    def _reached(self, plain: socket.socket, began_ns: int) -> None:
        """The server has taken the connection; with TLS it is open once both sides know whom they speak to."""
        if self._shared.tls is None:
            self._greet(began_ns)
            return
        try:
            made = self._socket = self._shared.tls.wrap(plain)
        except OSError as error:  # reset already
            self._refuse(error.errno or 0)
            return
        self._recv, self._send = made.recv, made.send
        self._shake_hands(made, began_ns)

    def _shake_hands(self, made: ssl.SSLSocket, began_ns: int) -> None:
        """One step of the handshake; the next comes when the server has answered."""
        loop, fd = self._shared.loop, self._fd
        loop.remove_reader(fd)
        loop.remove_writer(fd)
        try:
            made.do_handshake()
        except ssl.SSLWantReadError:
            loop.add_reader(fd, self._shake_hands, made, began_ns)
        except ssl.SSLWantWriteError:
            loop.add_writer(fd, self._shake_hands, made, began_ns)
        except OSError as error:
            self._refuse(error.errno or 0)
        else:
            self._greet(began_ns)

    def _greet(self, began_ns: int) -> None:
        """Say what the protocol wants said before the first request; the connection is open when that is answered."""
        greeting = self._session.greeting()
        if not greeting:
            self._opened(began_ns)
            return
        try:
            self._send(greeting)  # a new connection's buffer has room for it
        except OSError as error:
            self._refuse(error.errno or 0)
        else:
            self._shared.loop.add_reader(self._fd, self._greeted, began_ns)

    def _greeted(self, began_ns: int) -> None:
        """Some of the answer to the greeting is there, or the end."""
        try:
            data = self._recv(READ_BYTES)
            answered = self._session.greeted(data)
        except BLOCKED:
            return
        except OSError as error:
            self._refuse(error.errno or 0)
        except ProtocolError as error:
            self._fail(error.ending, _clock())
        else:
            if not data:
                self._fail(outcome.CLOSED, _clock())
            elif answered:
                self._opened(began_ns)

    def _refuse(self, number: int) -> None:
        self._shared.last_errno = number
        self._fail(outcome.of_error(number), _clock())
