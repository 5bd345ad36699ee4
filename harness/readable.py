"""Reading from a connection that is no socket of this process as `http.client` reads from one."""

import io
from abc import ABC, abstractmethod
from typing import Any


class Readable(ABC):
    """Gives readers out, and stays open until they are closed, too.

    `http.client` closes its socket as soon as it knows that the answer is the last one, and reads the body after that.
    """

    buffer_bytes = io.DEFAULT_BUFFER_SIZE  # of a reader

    def __init__(self) -> None:
        self._readers = 0
        self._closed = False

    @abstractmethod
    def recv(self, most: int) -> bytes:
        """What has come, at most so much; nothing where the other side has ended.

        Raises:
            TimeoutError: nothing came in time.
        """

    @abstractmethod
    def _let_go(self) -> None:
        """Close what is below."""

    def makefile(self, mode: str = "rb", *_: object, **__: object) -> io.BufferedReader:
        """A buffered reader of what comes in.

        Raises:
            ValueError: another mode than `rb`.
        """
        if mode != "rb":
            raise ValueError(f"such a connection is read as `rb`, not `{mode}`")
        self._readers += 1
        return io.BufferedReader(self._incoming(), self.buffer_bytes)

    def _incoming(self) -> "Incoming":
        return Incoming(self)

    def reader_closed(self) -> None:
        """A reader has gone: the last one takes a closed connection with it."""
        self._readers -= 1
        self._close_if_unused()

    def close(self) -> None:
        """Close it, once its readers are closed."""
        self._closed = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._closed and self._readers <= 0:
            self._let_go()


class Incoming(io.RawIOBase):
    """What comes in, for a buffered reader."""

    def __init__(self, owner: Readable) -> None:
        self._owner = owner

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Read what has come."""
        piece = self._owner.recv(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Close it, and the connection with its last reader."""
        if not self.closed:
            super().close()
            self._owner.reader_closed()
