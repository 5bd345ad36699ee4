"""A chunked request body, read piece by piece (RFC 9112, 7.1)."""

import re
from typing import Final

from common.head import BODY_LIMIT_BYTES, BROKEN_LINES, CRLF, TRAILERS, RequestError

_TRAILERS_LIMIT_BYTES: Final = 8 << 10
_LINE_LIMIT_BYTES: Final = 1_024  # of a chunk's size and extensions
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_END_OF_SECTION: Final = b"\r\n\r\n"

_SIZE, _DATA, _END_OF_DATA, _TRAILERS, _DONE = range(5)


class ChunkedBody:
    """Takes bytes off a buffer until the last chunk and its trailer fields have gone by."""

    __slots__ = ("_left", "_state", "_total", "body")

    def __init__(self) -> None:
        self.body = bytearray()
        self._state = _SIZE
        self._left = 0  # bytes of the chunk that are still to come
        self._total = 0  # sizes of all chunks so far

    @property
    def done(self) -> bool:
        """Whether the body has ended."""
        return self._state == _DONE

    def take(self, buffer: bytes, at: int) -> int:
        """Read on from `buffer[at]` and return where reading stopped: at the body's end, or for want of bytes.

        Raises:
            RequestError: the coding is broken, or the body or its trailers are larger than the limits.
        """
        while self._state != _DONE:
            state = self._state
            if state == _SIZE:
                at = self._take_size(buffer, at)
            elif state == _DATA:
                at = self._take_data(buffer, at)
            elif state == _END_OF_DATA:
                at = self._take_end_of_data(buffer, at)
            else:
                at = self._take_trailers(buffer, at)
            if self._state == state:
                break
        return at

    def _take_size(self, buffer: bytes, at: int) -> int:
        match = _SIZE_LINE.match(buffer, at, at + _LINE_LIMIT_BYTES)
        if match is None:
            line = buffer[at : at + _LINE_LIMIT_BYTES]
            if CRLF in line or len(line) == _LINE_LIMIT_BYTES or BROKEN_LINES.search(line):
                raise RequestError(400, "a chunk does not begin with its size in hexadecimal digits")
            return at
        self._left = int(match[1], 16)
        self._total += self._left
        if self._total > BODY_LIMIT_BYTES:
            raise RequestError(413, f"the body is larger than {BODY_LIMIT_BYTES} bytes")
        self._state = _DATA if self._left else _TRAILERS
        return match.end()

    def _take_data(self, buffer: bytes, at: int) -> int:
        piece = buffer[at : at + self._left]
        self.body += piece
        self._left -= len(piece)
        if not self._left:
            self._state = _END_OF_DATA
        return at + len(piece)

    def _take_end_of_data(self, buffer: bytes, at: int) -> int:
        end = buffer[at : at + 2]
        if end == CRLF:
            self._state = _SIZE
            return at + 2
        if not CRLF.startswith(end):
            raise RequestError(400, "a chunk is longer than its size")
        return at

    def _take_trailers(self, buffer: bytes, at: int) -> int:
        match = TRAILERS.match(buffer, at, at + _TRAILERS_LIMIT_BYTES)
        if match is not None:
            self._state = _DONE
            return match.end()
        section = buffer[at : at + _TRAILERS_LIMIT_BYTES]
        if BROKEN_LINES.search(section) or _END_OF_SECTION in section:
            raise RequestError(400, "the trailer fields are malformed")
        if len(section) == _TRAILERS_LIMIT_BYTES:
            raise RequestError(431, f"the trailer fields are larger than {_TRAILERS_LIMIT_BYTES} bytes")
        return at
