"""A connection from a host to somewhere else, as a socket of this process: for `http.client` and its like."""

import io
import socket
from typing import Any

from paramiko import Channel


class _Bytes(io.RawIOBase):
    """What comes in, for a buffered reader."""

    def __init__(self, owner: "DialledSocket") -> None:
        self._owner = owner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        piece = self._owner.recv(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._owner.reader_closed()


class DialledSocket:
    """A channel that behaves as a connected socket: it stays open until its readers are closed, too.

    `http.client` closes its socket as soon as it knows that the answer is the last one, and reads the body after that.
    """

    def __init__(self, channel: Channel, timeout_s: float) -> None:
        self._channel = channel
        self._readers = 0
        self._closed = False
        channel.settimeout(timeout_s)

    def settimeout(self, timeout_s: float | None) -> None:
        """Bound every further read and write; None: wait for ever."""
        self._channel.settimeout(timeout_s)

    def sendall(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            TimeoutError: nobody takes it.
            OSError: the connection has ended.
        """
        self._channel.sendall(data)

    def recv(self, most: int) -> bytes:
        """What has come, at most so much; nothing where the other side has ended.

        Raises:
            TimeoutError: nothing came in time.
        """
        return self._channel.recv(most)

    def makefile(self, mode: str = "rb", *_: object, **__: object) -> io.BufferedReader:
        """A buffered reader of what comes in.

        Raises:
            ValueError: another mode than `rb`.
        """
        if mode != "rb":
            raise ValueError(f"a dialled socket is read as `rb`, not `{mode}`")
        self._readers += 1
        return io.BufferedReader(_Bytes(self))

    def reader_closed(self) -> None:
        """A reader has gone: the last one takes a closed socket with it."""
        self._readers -= 1
        self._close_if_unused()

    def close(self) -> None:
        """Close it, once its readers are closed."""
        self._closed = True
        self._close_if_unused()

    def shutdown(self, how: int) -> None:
        """Say that nothing more is sent (or read)."""
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._channel.shutdown_write()
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            self._channel.shutdown_read()

    def _close_if_unused(self) -> None:
        if self._closed and self._readers <= 0:
            self._channel.close()
