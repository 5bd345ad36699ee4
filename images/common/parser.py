"""An incremental parser of HTTP/1.1 requests: bytes in, whole requests out, no I/O.

However a stream of requests is cut into pieces, the same requests come out, or the same refusal (tests/models
holds it to that). Nothing but `RequestError` is ever raised, whatever is fed.
"""

from common.chunked import ChunkedBody
from common.head import (
    BROKEN_LINES,
    CHUNKED,
    CRLF,
    HEAD,
    HEAD_LIMIT_BYTES,
    NO_BODY,
    Framing,
    Request,
    RequestError,
    read_head,
)

_END_OF_HEAD = b"\r\n\r\n"
_NOTHING = bytearray()
_match_head = HEAD.match


class Parser:
    """One connection's stream of requests.

    Attributes:
        buffer: what was received and has not become a request yet.

    After `RequestError` or a request that closes the connection the rest of the stream has no meaning: stop asking.
    """

    __slots__ = ("_at", "_body", "_chunks", "_expects_continue", "_left", "_request", "_searched", "buffer")

    def __init__(self) -> None:
        self.buffer = b""  # of it, all up to _at is done with
        self._at = 0
        self._searched = 0  # up to here there is no end of head: a head that dribbles in is not searched anew
        self._expects_continue = False
        self._request: Request | None = None  # the one whose body is being read
        self._chunks: ChunkedBody | None = None
        self._body = _NOTHING
        self._left = 0  # bytes of its body that are still to come

    def feed(self, data: bytes) -> None:
        """Append what was received."""
        if not self.buffer:
            self.buffer = data
            return
        self.buffer = self.buffer[self._at :] + data
        self._searched = max(0, self._searched - self._at)
        self._at = 0

    def next(self) -> Request | None:
        """The next whole request, or None while bytes are wanting.

        Raises:
            RequestError: what comes next is no request that can be served.
        """
        if self._request is not None:
            return self._read_body(self._request)
        buffer, at = self.buffer, self._at
        if self._searched and buffer.find(_END_OF_HEAD, self._searched) < 0:
            self._await_head()
            return None
        match = _match_head(buffer, at)
        if match is None:
            self._await_head()
            return None
        end = match.end()
        if end - at > HEAD_LIMIT_BYTES and end - match.start(1) > HEAD_LIMIT_BYTES:
            raise RequestError(431, f"the head is larger than {HEAD_LIMIT_BYTES} bytes")
        request, framing = read_head(match, end)
        self._searched = 0
        if end == len(buffer):  # as _consume does; this is the hot path
            self.buffer = b""
            self._at = 0
        else:
            self._at = end
        if framing is NO_BODY:
            return request
        self._begin_body(request, framing)
        return self._read_body(request)

    def wants_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body that is due. Says so once."""
        wanted, self._expects_continue = self._expects_continue and self._request is not None, False
        return wanted

    def _consume(self, end: int) -> None:
        self._searched = 0
        if end == len(self.buffer):
            self.buffer = b""
            self._at = 0
        else:
            self._at = end

    def _await_head(self) -> None:
        """Nothing whole is there: see that it can still become a head.

        Raises:
            RequestError: it cannot.
        """
        buffer, at = self.buffer, self._at
        while buffer.startswith(CRLF, at):
            at += len(CRLF)
        buffer = buffer[at:]
        self.buffer, self._at = buffer, 0
        begin = max(0, self._searched - at)
        if buffer.find(_END_OF_HEAD, begin, HEAD_LIMIT_BYTES) >= 0 or BROKEN_LINES.search(
            buffer, begin, HEAD_LIMIT_BYTES
        ):
            raise RequestError(400, "the head is malformed")
        if len(buffer) > HEAD_LIMIT_BYTES:
            raise RequestError(431, f"the head is larger than {HEAD_LIMIT_BYTES} bytes")
        self._searched = max(0, len(buffer) - len(_END_OF_HEAD) + 1)

    def _begin_body(self, request: Request, framing: Framing) -> None:
        self._request = request
        self._expects_continue = framing.expects_continue
        if framing.length == CHUNKED:
            self._chunks = ChunkedBody()
        else:
            self._body, self._left = bytearray(), framing.length

    def _read_body(self, request: Request) -> Request | None:
        if self._chunks is not None:
            self._consume(self._chunks.take(self.buffer, self._at))
            if not self._chunks.done:
                return None
            request.body, self._chunks = self._chunks.body, None
        else:
            piece = self.buffer[self._at : self._at + self._left]
            self._body += piece
            self._left -= len(piece)
            self._consume(self._at + len(piece))
            if self._left:
                return None
            request.body, self._body = self._body, _NOTHING
        self._request = None
        return request
