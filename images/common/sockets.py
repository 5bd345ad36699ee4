"""The listening socket, with the options that every model shares, and accepting from it."""

import contextlib
import copy
import errno
import socket
import time
from collections.abc import Iterator
from typing import Final

from common.scoreboard import ACCEPT_EAGAINS, ACCEPTS, Counts

RECEIVE_BYTES: Final = 64 << 10  # asked for with each recv

_ACCEPT_BATCH: Final = 64  # then look at what else there is to do
_REST_S: Final = 0.1
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NOT_LISTENING: Final = frozenset({errno.EINVAL, errno.EBADF})


class ListenError(Exception):
    """The port cannot be had: what and why, in one line."""


class Listener:
    """A listening socket. It never blocks, unless it was made `blocking`: then accept sleeps until a connection comes.

    Out of descriptors it rests: the connections stay in the kernel's queue, and whoever waits on the listener
    leaves it alone until the rest is over, instead of being woken for it again and again.

    Attributes:
        ended: it was found shut down or closed: nothing will ever be accepted again.
    """

    def __init__(self, host: str, port: int, backlog: int, *, blocking: bool = False) -> None:
        """Listen.

        Raises:
            ListenError: the port cannot be had.
        """
        self._address = (host, port, backlog)
        self.socket = _listen(host, port, backlog, shared=False)
        self.socket.setblocking(blocking)  # accepted sockets do not inherit this
        self.ended = False
        self._rest_until_s = 0.0

    def another(self) -> "Listener":
        """A further listening socket on the same port, with a queue of its own (SO_REUSEPORT).

        The kernel gives each connection to one of them, by a hash of its addresses and ports. The first socket shares
        its port from here on only: had it shared it when it took it, a server that was left over, and shares the port
        too, would go unnoticed and take a part of the connections.

        Raises:
            ListenError: it cannot be had.
        """
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other = copy.copy(self)
        other.socket = _listen(*self._address, shared=True)
        other.socket.setblocking(self.socket.getblocking())
        return other

    def fileno(self) -> int:
        """Its descriptor, to wait on."""
        return self.socket.fileno()

    def waiting(self, counts: Counts) -> Iterator[tuple[socket.socket, str]]:
        """Accept the connections that wait, one by one: each with its client's address, and the caller's to close.

        Args:
            counts: of the worker that accepts.
        """
        for _ in range(_ACCEPT_BATCH):
            accepted = self.accept_one(counts)
            if accepted is None:
                return
            yield accepted
            if self._rest_until_s:  # the caller could not serve this one
                return

    def accept_one(self, counts: Counts) -> tuple[socket.socket, str] | None:
        """Accept one connection: with its client's address, and the caller's to close. For workers that serve one each.

        None where there is none to be had: nobody waits (never so when `blocking`), or descriptors are used up and
        the listener rests (`rest_left_s`), or it has `ended`.

        Args:
            counts: of the worker that accepts.
        """
        while True:
            try:
                connection, address = self.socket.accept()
            except BlockingIOError:
                counts[ACCEPT_EAGAINS] += 1
                return None
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self.rest()
                    return None
                if error.errno in _NOT_LISTENING:
                    self.ended = True
                    return None
                continue  # the client has gone away while it waited (ECONNABORTED and its like, see accept(2))
            counts[ACCEPTS] += 1
            return connection, address[0]

    def rest(self) -> None:
        """Leave the queue alone for a moment: what a connection needs is used up."""
        self._rest_until_s = time.monotonic() + _REST_S

    def rest_left_s(self) -> float:
        """Seconds until connections may be accepted again; 0 when they may now."""
        if not self._rest_until_s:
            return 0.0
        left_s = self._rest_until_s - time.monotonic()
        if left_s <= 0:
            left_s = self._rest_until_s = 0.0
        return left_s

    def shut_down(self) -> None:
        """Stop accepting, in every process and thread that shares the socket, whoever sleeps in accept now or later.

        shutdown(2) acts on the socket, not on a descriptor of it: accept returns EINVAL from now on, at once, and
        epoll reports a hang-up. Connections that still wait are reset.
        """
        with contextlib.suppress(OSError):  # shut down already
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket; if nobody else has it, stop accepting."""
        self.socket.close()


def _listen(host: str, port: int, backlog: int, *, shared: bool) -> socket.socket:
    listener = None
    try:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)  # not inheritable: close-on-exec
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it on Linux
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError as error:
        if listener is not None:
            listener.close()
        raise ListenError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
    return listener
