"""The listening socket, with the options that every model shares, and accepting from it."""

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


class ListenError(Exception):
    """The port cannot be had: what and why, in one line."""


class Listener:
    """A listening socket that never blocks.

    Out of descriptors it rests: the connections stay in the kernel's queue, and whoever waits on the listener
    leaves it alone until the rest is over, instead of being woken for it again and again.
    """

    def __init__(self, host: str, port: int, backlog: int) -> None:
        self.socket = _listen(host, port, backlog)
        self._rest_until_s = 0.0

    def fileno(self) -> int:
        """Its descriptor, to wait on."""
        return self.socket.fileno()

    def waiting(self, counts: Counts) -> Iterator[tuple[socket.socket, str]]:
        """Accept the connections that wait, one by one: each with its client's address, and the caller's to close.

        Args:
            counts: of the worker that accepts.
        """
        for _ in range(_ACCEPT_BATCH):
            try:
                connection, address = self.socket.accept()
            except BlockingIOError:
                counts[ACCEPT_EAGAINS] += 1
                return
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self.rest()
                    return
                continue  # the client has gone away while it waited (ECONNABORTED and its like, see accept(2))
            counts[ACCEPTS] += 1
            yield connection, address[0]

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

    def close(self) -> None:
        """Stop accepting."""
        self.socket.close()


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)  # not inheritable: close-on-exec
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it on Linux
    listener.setblocking(False)  # accepted sockets do not inherit this
    try:
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
    return listener
