"""Calls to the backend: what is sent, how the answer is read, and the call as a blocking worker makes it.

`Reply` does no I/O, so every model can use it: the blocking ones below, the others on their own loops.
"""

import socket
import time
from typing import Final

from common.config import BackendAddress
from common.scoreboard import BACKEND_CALLS, BACKEND_ERRORS, Counts
from common.sockets import RECEIVE_BYTES

_END_OF_HEAD: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"
_HEAD_LIMIT_BYTES: Final = 64 << 10


def request_to(address: BackendAddress) -> bytes:
    """The bytes of a call, the same every time."""
    return b"GET / HTTP/1.1\r\nHost: %b:%d\r\n\r\n" % (address.host.encode(), address.port)


class Reply:
    """The answer to one call, as it comes in.

    Attributes:
        begun: something of it has come.
        ended: it is whole, or it cannot become right.
        right: it is whole, with status 200.
    """

    __slots__ = ("_head", "_left", "begun", "ended", "right")

    def __init__(self) -> None:
        self._head = b""
        self._left = -1  # bytes of the body that are still to come; -1: the head is not whole yet
        self.begun = self.ended = self.right = False

    def receive(self, data: bytes) -> None:
        """Take in what was received; nothing means that the backend has closed."""
        if not data:
            self.ended = True
            return
        self.begun = True
        if self._left >= 0:
            self._take_body(len(data))
        else:
            self._head += data
            self._take_head()

    def _take_head(self) -> None:
        head, end, body = self._head.partition(_END_OF_HEAD)
        if not end:
            self.ended = len(head) > _HEAD_LIMIT_BYTES
            return
        _, found, rest = head.lower().partition(_LENGTH)
        length = rest.partition(b"\r\n")[0].strip()
        if head[:13] != b"HTTP/1.1 200 " or not found or not length.isdigit():
            self.ended = True
            return
        self._left = int(length)
        self._take_body(len(body))

    def _take_body(self, size: int) -> None:
        self._left -= size
        if self._left <= 0:
            self.ended = True
            self.right = self._left == 0


class Backend:
    """One worker's kept connection to the backend, for workers that may block. Not shared between threads."""

    def __init__(self, address: BackendAddress, counts: Counts) -> None:
        self._address = address
        self._counts = counts
        self._request = request_to(address)
        self._socket: socket.socket | None = None

    def ask(self) -> bool:
        """Call the backend and wait for its answer; whether it was right.

        No step takes longer than `timeout_s`, and none begins when that much has passed since the call began.
        The backend may have closed a kept connection: if nothing of an answer came on it, the call is made on a new one.
        """
        self._counts[BACKEND_CALLS] += 1
        deadline_s = time.monotonic() + self._address.timeout_s
        kept = self._socket is not None
        reply = Reply()
        if self._is_cut_off(reply, deadline_s) and kept and not reply.begun:
            self.close()
            reply = Reply()
            self._is_cut_off(reply, deadline_s)
        if not reply.right:
            self._counts[BACKEND_ERRORS] += 1
            self.close()
        return reply.right

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _is_cut_off(self, reply: Reply, deadline_s: float) -> bool:
        """Receive the reply; whether the connection ended before it did."""
        try:
            connection = self._connected()
            connection.sendall(self._request)
            while not reply.ended and time.monotonic() < deadline_s:
                reply.receive(connection.recv(RECEIVE_BYTES))
        except TimeoutError:
            return False
        except OSError:
            return True
        return reply.ended and not reply.right

    def _connected(self) -> socket.socket:
        if self._socket is None:
            address = self._address
            self._socket = socket.create_connection((address.host, address.port), address.timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket
