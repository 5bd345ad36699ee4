"""How an acceptor hands connections to a sub-reactor: a `Source` of its loop, in the same process or in another.

Both are readable while something is in them, so the sub-reactor sleeps on its inbox as a single reactor does on its
listening socket.
"""

import contextlib
import errno
import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from common.scoreboard import Counts

_PEER_BYTES: Final = 256
_REST_S: Final = 0.1
_FULL: Final = frozenset({errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS})


class InboxOfThread:
    """A queue, and an eventfd that wakes the loop. The acceptor owns both.

    Attributes:
        stopping: the acceptor hands nothing over any more, and the loop is to finish.
    """

    def __init__(self) -> None:
        self.stopping = False
        self._waiting: deque[tuple[socket.socket, str]] = deque()
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """The eventfd."""
        return self._wakeup

    def put(self, connection: socket.socket, peer: str) -> bool:
        """Hand a connection over: from here on it is the loop's. First the queue, then the wake-up, or it could be lost."""
        self._waiting.append((connection, peer))
        os.eventfd_write(self._wakeup, 1)
        return True

    def stop(self) -> None:
        """Nothing more is handed over."""
        self.stopping = True
        os.eventfd_write(self._wakeup, 1)

    def waiting(self, _counts: Counts) -> Iterator[tuple[socket.socket, str]]:
        """Of a `Source`. First the wake-up is taken back, then the queue emptied: what comes meanwhile wakes again."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wakeup)
        while self._waiting:
            yield self._waiting.popleft()

    def rest_left_s(self) -> float:
        """Of a `Source`: the descriptors are there already, so it never has to rest."""
        return 0.0

    def close(self) -> None:
        """Of a `Source`: the acceptor owns it."""


class InboxOfProcess:
    """A pair of Unix sockets, over which the kernel passes descriptors (SCM_RIGHTS).

    The acceptor keeps both ends for as long as it lives. What was handed to a process that has died meanwhile is then
    still in the pair, and its successor's.
    """

    def __init__(self) -> None:
        self._in, self._out = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._in.setblocking(False)
        self._out.setblocking(False)
        self._rest_until_s = 0.0

    def fileno(self) -> int:
        """The end that the loop reads."""
        return self._out.fileno()

    def put(self, connection: socket.socket, peer: str) -> bool:
        """Hand a connection over, and close our copy of it. False: the inbox is full, and it is still the caller's."""
        try:
            socket.send_fds(self._in, [peer.encode()], [connection.fileno()])
        except OSError as error:
            if error.errno in _FULL:
                return False
            raise
        connection.close()
        return True

    def waiting(self, _counts: Counts) -> Iterator[tuple[socket.socket, str]]:
        """Of a `Source`. A descriptor that finds no place in our table would be lost, so a place is looked for first."""
        while True:
            try:
                os.close(os.dup(self._out.fileno()))
            except OSError:
                self._rest_until_s = time.monotonic() + _REST_S
                return
            try:
                peer, fds, _, _ = socket.recv_fds(self._out, _PEER_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            for fd in fds:
                yield socket.socket(fileno=fd), peer.decode()

    def rest_left_s(self) -> float:
        """Of a `Source`."""
        return max(0.0, self._rest_until_s - time.monotonic()) if self._rest_until_s else 0.0

    def close(self) -> None:
        """Let go of both ends."""
        self._in.close()
        self._out.close()
