"""HTTP/1.1, one request at a time on a connection. The last one says `Connection: close`, so that the server closes first.

Then the wait after a close (TIME_WAIT) stays with the server, and the client does not run out of ports.
"""

from collections.abc import Sequence

from client.books import outcome
from client.config import Config, Kind
from client.protocols.base import Answer, MalformedError
from client.protocols.http1_response import Head, Response
from client.wire.target import Target

_MAX_KNOWN_HEADS = 256


class HttpExchange:
    """One kind of request: its bytes, and what a right answer is."""

    __slots__ = ("_body_bytes", "_known_heads", "_status", "last_answer", "last_request", "method", "request")

    def __init__(self, kind: Kind, authority: str) -> None:
        self.method = kind.method
        self.request = request_bytes(kind, authority)
        self.last_request = request_bytes(kind, authority, last=True)
        self._status = kind.expect_status  # None: any 2xx
        self._body_bytes = kind.expect_body_bytes  # None: any length
        # Head block: length of the body it announces. A pure function of the exact bytes, for the plain kind of head only
        # (of a right answer, with a content length, persistent), so looking it up is parsing and judging it; bounded, as
        # heads carry dates.
        self._known_heads: dict[bytes, int] = {}
        self.last_answer = b""

    def is_right(self, data: bytes) -> bool:
        """Whether it is a right answer of the plain kind, whole, under a head that has been parsed before."""
        end = data.find(b"\r\n\r\n") + 4
        if self._known_heads.get(data[:end]) != len(data) - end:
            return False
        self.last_answer = data
        return True

    def judge(self, response: Response, head: Head) -> int:
        """How a whole answer ends its request: whether it is what was expected. A plain right one is known from now on."""
        if head.status != self._status and (self._status is not None or not 200 <= head.status < 300):
            return outcome.STATUS
        if self._body_bytes not in (None, response.body_bytes):
            return outcome.WRONG
        if response.plain_head and head.persistent and head.length is not None:
            if len(self._known_heads) >= _MAX_KNOWN_HEADS:
                self._known_heads.clear()
            self._known_heads[response.plain_head] = head.length
        return outcome.OK


class HttpSession:
    """One connection's requests and answers."""

    __slots__ = ("_exchange", "_exchanges", "_response")

    def __init__(self, exchanges: Sequence[HttpExchange]) -> None:
        self._exchanges = exchanges
        self._exchange = exchanges[0]  # of the request that is out
        self._response: Response | None = None  # of which something has been read

    def greeting(self) -> bytes:
        """Nothing is said before the first request."""
        return b""

    def greeted(self, data: bytes) -> bool:
        """Whatever comes before the first request was not asked for."""
        raise MalformedError(f"bytes before any request: {data[:80]!r}")

    def encode(self, kind: int, last: bool) -> bytes:
        """The whole request, head and body."""
        exchange = self._exchange = self._exchanges[kind]
        return exchange.last_request if last else exchange.request

    def parse(self, data: bytes) -> Answer | None:
        """Take the next bytes of the answer; it, judged, once it is whole."""
        response = self._response = self._response or Response(self._exchange.method)
        head = response.feed(data)
        return None if head is None else self._judged(response, head)

    def end(self) -> Answer | None:
        """A body without a length lasts until the connection ends."""
        response = self._response
        head = response.end() if response is not None else None
        return None if response is None or head is None else self._judged(response, head)

    def _judged(self, response: Response, head: Head) -> Answer:
        self._response = None
        return Answer(self._exchange.judge(response, head), head.persistent)

    def skips(self, data: bytes) -> bool:  # noqa: ARG002
        """Every byte of HTTP belongs to an answer."""
        return False

    def farewell(self) -> bytes:
        """The last request has said it."""
        return b""

    def parted(self, data: bytes) -> bool:  # noqa: ARG002
        """Nothing more is to come but the end."""
        return True


class Http1:
    """What all connections of a run say, each kind of request in its own bytes."""

    repeats = True

    def __init__(self, config: Config, target: Target, kinds: Sequence[Kind]) -> None:  # noqa: ARG002
        self.exchanges = tuple(HttpExchange(kind, target.authority) for kind in kinds)

    def session(self) -> HttpSession:
        """For a connection that is being opened."""
        return HttpSession(self.exchanges)


def request_bytes(kind: Kind, authority: str, *, last: bool = False) -> bytes:
    """The whole request, head and body.

    Args:
        kind: what is asked for.
        authority: of the Host header.
        last: whether the server is to close the connection after it.
    """
    lines = [f"{kind.method} {kind.path} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in kind.headers.items()]
    if kind.body_bytes or kind.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {kind.body_bytes}")
    if last:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + b"x" * kind.body_bytes
