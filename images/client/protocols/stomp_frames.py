r"""STOMP 1.2 frames: written, and read however the bytes are cut.

A frame is a command, headers, an empty line and a body up to a NUL; with a content length the body may hold NULs, too.
Between frames there may be line ends, which is what a heart-beat is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from client.protocols.base import MalformedError

MAX_HEAD_BYTES = 65_536
MAX_BODY_BYTES = 16 << 20  # receipts have none; an error tells a story of some kilobytes

_FROM_SERVER = (b"CONNECTED", b"MESSAGE", b"RECEIPT", b"ERROR")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_ESCAPED = {b"\\": b"\\\\", b"\r": b"\\r", b"\n": b"\\n", b":": b"\\c"}
_UNESCAPED = {escaped: plain for plain, escaped in _ESCAPED.items()}


@dataclass(frozen=True)
class Frame:
    """A whole frame from a server."""

    command: bytes
    headers: Mapping[bytes, bytes]  # of a repeated one the first, as the protocol says
    body: bytes


def escaped(text: str) -> bytes:
    """A header's name or value as it stands in any frame but CONNECT and CONNECTED."""
    return re.sub(rb"[\\\r\n:]", lambda found: _ESCAPED[found[0]], text.encode())


def _unescaped(value: bytes) -> bytes:
    def plain(found: re.Match[bytes]) -> bytes:
        if found[0] not in _UNESCAPED:
            raise MalformedError(f"escape {found[0]!r} in a header")
        return _UNESCAPED[found[0]]

    return re.sub(rb"\\.?", plain, value, flags=re.DOTALL)


class FrameReader:
    """Reads one connection's frames. It keeps what has come of the next one, and no more."""

    __slots__ = ("_body_at", "_buffer", "_head", "_looked")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._looked = 0  # bytes in which the end that is looked for does not begin
        self._head: tuple[bytes, Mapping[bytes, bytes]] | None = None  # once it is whole
        self._body_at = 0

    @property
    def begun(self) -> bool:
        """Whether a part of a frame is there."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes; the frames that they make whole.

        Raises:
            MalformedError: they are no frame of a server, or an endless one.
        """
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        """Take the first frame out, if it is whole."""
        self._head = self._head or self._read_head()
        if self._head is None:
            return None
        command, headers = self._head
        end = self._end_of_body(headers.get(b"content-length"))
        if end is None:
            return None
        frame = Frame(command, headers, bytes(self._buffer[self._body_at : end]))
        del self._buffer[: end + 1]
        self._head, self._looked = None, 0
        return frame

    def _read_head(self) -> tuple[bytes, Mapping[bytes, bytes]] | None:
        """Command and headers, once they are there."""
        buffer = self._buffer
        if not self._looked:
            del buffer[: len(buffer) - len(buffer.lstrip(b"\r\n"))]
        found = re.compile(rb"\n\r?\n").search(buffer, max(self._looked - 2, 0))
        if found is None or found.end() > MAX_HEAD_BYTES:
            self._check_unfinished_head()
            self._looked = len(buffer)
            return None
        lines = [line.removesuffix(b"\r") for line in bytes(buffer[: found.start()]).split(b"\n")]
        self._body_at = self._looked = found.end()
        return lines[0], _headers(lines)

    def _check_unfinished_head(self) -> None:
        """Tell at once what can never become a frame, rather than wait for its end."""
        if len(self._buffer) > MAX_HEAD_BYTES:
            raise MalformedError("the head of a frame is too long")
        command, end, _ = bytes(self._buffer[:20]).partition(b"\n")
        command = command.removesuffix(b"\r")
        if not any(known == command if end else known.startswith(command) for known in _FROM_SERVER):
            raise MalformedError(f"no frame of a STOMP server: {bytes(self._buffer[:80])!r}")

    def _end_of_body(self, length: bytes | None) -> int | None:
        """Where the NUL after the body is, once it is there."""
        if length is not None:
            if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY_BYTES:
                raise MalformedError(f"content length {length[:80]!r}")
            end = self._body_at + int(length)
            if end >= len(self._buffer):
                return None
            if self._buffer[end]:
                raise MalformedError("body goes on beyond its content length")
            return end
        end = self._buffer.find(b"\0", self._looked)
        self._looked = len(self._buffer)
        if (end if end >= 0 else self._looked) - self._body_at > MAX_BODY_BYTES:
            raise MalformedError("the body of a frame is too long")
        return end if end >= 0 else None


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    """The headers after the command."""
    if lines[0] not in _FROM_SERVER:
        raise MalformedError(f"no frame of a STOMP server: {lines[0][:80]!r}")
    as_it_stands = lines[0] == b"CONNECTED"  # for the sake of older clients it has no escapes
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or b"\0" in line or b"\r" in line:
            raise MalformedError(f"header line {line[:80]!r}")
        if not as_it_stands:
            name, value = _unescaped(name), _unescaped(value)
        headers.setdefault(name, value)
    return headers
