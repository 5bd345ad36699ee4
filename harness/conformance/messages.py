"""The requests that the checks send."""

import re
from collections.abc import Sequence

from harness.conformance.findings import Failed, excerpt
from harness.conformance.wire import Answer

HOST = b"Host: test\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
GET_WITH_FIELDS = b"GET /a/b?c=d HTTP/1.1\r\nHost: test\r\nUser-Agent: conformance/1\r\nAccept: */*\r\nX-Empty:\r\nCookie: a=b; c=d\r\n\r\n"
CHUNKED_HEAD = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
BINARY = bytes(range(256))
_DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")


def post(body: bytes, *fields: bytes) -> bytes:
    """A POST with a length."""
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"POST / HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (HOST, lines, len(body), body)


def chunked(pieces: Sequence[bytes], trailers: bytes = b"") -> bytes:
    """A POST in chunks."""
    return CHUNKED_HEAD + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n" + trailers + b"\r\n"


def binary(size: int) -> bytes:
    """A body of every byte there is, whose parts do not look alike at chunk sizes that are powers of two."""
    unit = BINARY + b"|"
    return (unit * (size // len(unit) + 1))[:size]


def require_right(answer: Answer, body: bytes | None, asked: bytes) -> None:
    """The answer is a 200 with this body (none: any body).

    Raises:
        Failed: it is another.
    """
    if answer.status != 200:
        raise Failed(f"to {excerpt(asked)} came {answer}, not status 200")
    if body is not None and answer.body != body:
        what = f"{len(answer.body):,} bytes, not {len(body):,}"
        if len(answer.body) == len(body):
            what = f"other bytes, from byte {_first_difference(answer.body, body)} on"
        raise Failed(f"to {excerpt(asked)} came the body {excerpt(answer.body)}: {what}")


def require_fields(answer: Answer, asked: bytes) -> None:
    """The answer says its date and its length.

    Raises:
        Failed: it does not.
    """
    if not _DATE.fullmatch(answer.fields.get("date", "")):
        raise Failed(f"to {excerpt(asked)} came {answer}: without a right Date")
    if not answer.fields.get("content-length", "").isdigit():
        raise Failed(f"to {excerpt(asked)} came {answer}: without Content-Length")


def _first_difference(one: bytes, other: bytes) -> int:
    return next(place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
