"""An incremental HTTP/1.1 response parser (RFC 9112): strict, bounded, and indifferent to how the bytes are cut.

A `Response` reads one answer. It takes bytes as they come and says when the answer is whole; whatever does not
follow the grammar is `MalformedError`, because a client that guesses would count wrong answers as right ones.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from client.protocols.base import MalformedError

MAX_HEAD_BYTES = 65_536
MAX_CHUNK_LINE_BYTES = 4_096
MAX_INTERIM_RESPONSES = 16

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_BEGINNING = b"HTTP/1."


@dataclass(frozen=True)
class Head:
    """What the head of a response says about the rest of it."""

    status: int
    length: int | None  # bytes of the body; None: chunked, or until the connection ends
    chunked: bool
    persistent: bool  # the connection may carry another request


def parse_head(block: bytes, method: str) -> Head:
    """Read a whole head, up to and with its empty line.

    Args:
        block: the bytes from the status line to the empty line.
        method: the request's, as answers to HEAD have no body whatever they say.

    Raises:
        MalformedError: it does not follow the grammar, or its framing is ambiguous.
    """
    lines = block[:-4].split(b"\r\n")
    status_line = _STATUS_LINE.fullmatch(lines[0])
    if status_line is None:
        raise MalformedError(f"status line {lines[0][:80]!r}")
    fields = _fields(lines[1:])
    newer, status = status_line[1] == b"1", int(status_line[2])
    options = _tokens(fields.get(b"connection", ()))
    persistent = b"close" not in options and (newer or b"keep-alive" in options)
    length, chunked = _framing(fields, newer)
    if method == "HEAD" or status < 200 or status in (204, 304):
        length, chunked = 0, False
    return Head(status, length, chunked, persistent and (chunked or length is not None))


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    """Field values by lower-case name, in order."""
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise MalformedError(f"header line {line[:80]!r}")
        fields.setdefault(field[1].lower(), []).append(field[2].rstrip(b" \t"))
    return fields


def _tokens(values: list[bytes] | tuple[()]) -> list[bytes]:
    """The members of a comma-separated list field, in lower case."""
    return [token.strip(b" \t").lower() for value in values for token in value.split(b",") if token.strip(b" \t")]


def _framing(fields: dict[bytes, list[bytes]], newer: bool) -> tuple[int | None, bool]:
    """Length of the body as the fields tell it, and whether it is chunked."""
    codings = _tokens(fields.get(b"transfer-encoding", ()))
    lengths = {token for value in fields.get(b"content-length", ()) for token in value.replace(b" ", b"").split(b",")}
    if codings:
        if lengths or not newer or codings != [b"chunked"]:
            raise MalformedError("transfer coding other than a plain `chunked`, or one beside a length")
        return None, True
    if not lengths:
        return None, False
    if len(lengths) > 1 or not _LENGTH.fullmatch(length := lengths.pop()):
        raise MalformedError("content length that is not one number")
    return int(length), False


class _ChunkedBody:
    """Reads a chunked body: sizes, data, trailers."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._left = 0  # bytes of data still to come in this chunk
        self.data_bytes = 0  # of all chunks so far
        # What the next line is: a plain function, as a bound method would be a cycle, and the collector is off.
        self._read_line: Callable[[_ChunkedBody, bytes], bool] = _ChunkedBody._size

    def feed(self, data: bytes, at: int) -> tuple[int, bool]:
        """Take bytes from a position on; return the position after what was taken, and whether the body is whole."""
        whole = False
        while at < len(data) and not whole:
            if self._left:
                taken = min(self._left, len(data) - at)
                self._left -= taken
                self.data_bytes += taken
                at += taken
                continue
            end = data.find(b"\n", at) + 1
            self._line += data[at : end or len(data)]
            at = end or len(data)
            if len(self._line) > MAX_CHUNK_LINE_BYTES:
                raise MalformedError("line of a chunked body is too long")
            if end:
                whole = self._take_line()
        return at, whole

    def _take_line(self) -> bool:
        """Read a whole line; whether it ends the body."""
        line = bytes(self._line)
        self._line.clear()
        if not line.endswith(b"\r\n"):
            raise MalformedError("line of a chunked body does not end in CRLF")
        return self._read_line(self, line[:-2])

    def _size(self, line: bytes) -> bool:
        size = _CHUNK_LINE.fullmatch(line)
        if size is None:
            raise MalformedError(f"chunk size {line[:80]!r}")
        self._left = int(size[1], 16)
        self._read_line = _ChunkedBody._end_of_data if self._left else _ChunkedBody._trailer
        return False

    def _end_of_data(self, line: bytes) -> bool:
        if line:
            raise MalformedError("chunk is longer than its size says")
        self._read_line = _ChunkedBody._size
        return False

    def _trailer(self, line: bytes) -> bool:
        if line and not _FIELD.fullmatch(line):
            raise MalformedError(f"trailer {line[:80]!r}")
        return not line


class Response:
    """One answer, read piece by piece."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._block = bytearray()
        self._interim = 0
        self._head: Head | None = None
        self._left = 0
        self._chunks: _ChunkedBody | None = None
        self._body_bytes = 0
        self.plain_head = b""  # the head's bytes, where nothing came before it and it gives the body's length

    @property
    def body_bytes(self) -> int:
        """Length of the body so far, without the framing of chunks."""
        return self._chunks.data_bytes if self._chunks is not None else self._body_bytes

    def feed(self, data: bytes) -> Head | None:
        """Take the next bytes; the head once the answer is whole.

        Raises:
            MalformedError: they are no response, or go on beyond its end (nothing was asked for further).
        """
        at = 0
        while self._head is None:
            if at == len(data):
                return None
            at = self._feed_head(data, at)
        at, whole = self._feed_body(data, at, self._head)
        if whole and at < len(data):
            raise MalformedError("bytes beyond the end of the response")
        return self._head if whole else None

    def end(self) -> Head | None:
        """The connection has ended; the head, if that makes the answer whole (its body lasts until the end)."""
        head = self._head
        return head if head is not None and head.length is None and not head.chunked else None

    def _feed_head(self, data: bytes, at: int) -> int:
        """Gather the head; return the position after what was taken."""
        before = len(self._block)
        self._block += data[at : at + MAX_HEAD_BYTES + 1 - before]
        end = self._block.find(b"\r\n\r\n", max(before - 3, 0)) + 4
        if end == 3:
            self._check_unfinished_head()
            return len(data)
        block, self._block = bytes(self._block[:end]), bytearray()
        head = parse_head(block, self._method)
        if head.status >= 200:
            self._head, self._left = head, head.length or 0
            self._chunks = _ChunkedBody() if head.chunked else None
            self.plain_head = block if head.length is not None and not self._interim else b""
        elif head.status == 101 or self._interim == MAX_INTERIM_RESPONSES:
            raise MalformedError("protocol switch that nobody asked for, or too many interim responses")
        else:
            self._interim += 1
        return at + end - before

    def _check_unfinished_head(self) -> None:
        """Tell at once what can never become a head, rather than wait for its end."""
        block = self._block
        if len(block) > MAX_HEAD_BYTES:
            raise MalformedError("head is too long")
        if not block.startswith(_BEGINNING[: len(block)]) or b"\n\n" in block:
            raise MalformedError(f"no HTTP response: {bytes(block[:80])!r}")

    def _feed_body(self, data: bytes, at: int, head: Head) -> tuple[int, bool]:
        """Take the body; return the position after what was taken, and whether the body is whole."""
        if self._chunks is not None:
            return self._chunks.feed(data, at)
        if head.length is None:
            self._body_bytes += len(data) - at
            return len(data), False
        taken = min(self._left, len(data) - at)
        self._left -= taken
        self._body_bytes += taken
        return at + taken, self._left == 0
