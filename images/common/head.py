"""The head of a request: its grammar, and what it says about the body and the connection (RFC 9112, 9110).

The policy is strict, because two parties that read one message differently is what request smuggling lives on:
lines end in CRLF (a bare CR or LF is an error), no white space before a colon, no folded lines, one Host, one
length. A whole head is matched by one expression, which never backtracks (possessive quantifiers).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

HEAD_LIMIT_BYTES: Final = 64 << 10
BODY_LIMIT_BYTES: Final = 64 << 20
CHUNKED: Final = -1  # in place of a length
CRLF: Final = b"\r\n"
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELD: Final = _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n"
_FIELDS_BUT_HOST: Final = rb"(?:(?![Hh][Oo][Ss][Tt]:)" + _FIELD + rb")*+"
_HOST_FIELD: Final = rb"([Hh][Oo][Ss][Tt]):[ \t]*+[A-Za-z0-9\-._~!$&'()*+,;=:%\[\]]*+[ \t]*+\r\n"
_REQUEST_LINE: Final = rb"(" + _TOKEN + rb") ([!-~]++) HTTP/([0-9]\.[0-9])\r\n"

# Empty lines before a request are skipped (RFC 9112, 2.2). At most one Host, and a host in it.
HEAD: Final = re.compile(
    rb"(?:\r\n)*+" + _REQUEST_LINE + _FIELDS_BUT_HOST + rb"(?:" + _HOST_FIELD + _FIELDS_BUT_HOST + rb")?" + CRLF
)
TRAILERS: Final = re.compile(rb"(?:" + _FIELD + rb")*+" + CRLF)
# What no head contains, however it goes on: such a head is refused without waiting for its end.
BROKEN_LINES: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?=[^\n])")

# Besides Host, the only fields that change how a request is read. The look at one letter makes other lines cheap.
_find_framing_fields: Final = re.compile(
    rb"\n(?=[CcTtEe])(?i:(connection|content-length|transfer-encoding|expect)):[ \t]*+([^\r]*)"
).findall
_DIGITS: Final = re.compile(rb"[0-9]+")


class RequestError(Exception):
    """A request that cannot be served: the status to refuse it with, and why. The connection ends with it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Request:
    """A request, as far as the server needs to know it."""

    __slots__ = ("body", "http_1_0", "keep_alive", "method", "target")

    def __init__(self, method: bytes, target: bytes, http_1_0: bool, keep_alive: bool) -> None:
        self.method = method
        self.target = target
        self.http_1_0 = http_1_0
        self.keep_alive = keep_alive
        self.body: bytes | bytearray = b""


class Framing(NamedTuple):
    """The body that follows a head."""

    length: int  # in bytes, or CHUNKED
    expects_continue: bool


NO_BODY: Final = Framing(0, expects_continue=False)


def read_head(match: "re.Match[bytes]", end: int) -> tuple[Request, Framing]:
    """What a head that `HEAD` has matched, up to `end`, says.

    Raises:
        RequestError: it contradicts itself or asks for what is not served.
    """
    method, target, version, host = match.groups()
    framing_fields = _find_framing_fields(match.string, match.pos, end)
    if version == b"1.1":
        if host is None:
            raise RequestError(400, "an HTTP/1.1 request has a Host field")
        if not framing_fields:
            return Request(method, target, False, True), NO_BODY
    elif not version.startswith(b"1."):
        raise RequestError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    http_1_0 = version == b"1.0"
    fields: dict[bytes, bytes] = {}
    for cased_name, value in framing_fields:
        name = cased_name.lower()
        fields[name] = fields[name] + b"," + value if name in fields else value  # RFC 9110, 5.2
    keep_alive = _keep_alive(_listed(fields.get(b"connection", b"")), http_1_0)
    return Request(method, target, http_1_0, keep_alive), _framing(fields, http_1_0)


def _keep_alive(options: Sequence[bytes], http_1_0: bool) -> bool:
    return b"close" not in options and (not http_1_0 or b"keep-alive" in options)


def _framing(fields: Mapping[bytes, bytes], http_1_0: bool) -> Framing:
    length_field, codings = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    length = 0
    if codings is not None:
        if length_field is not None or http_1_0:
            raise RequestError(400, "Transfer-Encoding beside Content-Length, or in HTTP/1.0")
        length = _coding(_listed(codings))
    elif length_field is not None:
        length = _content_length(length_field.rstrip(b" \t"))
    expects_continue = not http_1_0 and b"100-continue" in _listed(fields.get(b"expect", b""))
    return Framing(length, expects_continue)


def _content_length(value: bytes) -> int:
    if _DIGITS.fullmatch(value) is None:  # two fields read as a list, and are refused even when they agree
        raise RequestError(400, "Content-Length is not one number")
    digits = value.lstrip(b"0") or b"0"
    if len(digits) > 18 or int(digits) > BODY_LIMIT_BYTES:
        raise RequestError(413, f"the body is larger than {BODY_LIMIT_BYTES} bytes")
    return int(digits)


def _coding(codings: list[bytes]) -> int:
    if codings == [b"chunked"]:
        return CHUNKED
    if not codings or b"chunked" in codings[:-1]:
        raise RequestError(400, "Transfer-Encoding must name chunked once, and last")
    raise RequestError(501, "of the transfer codings only chunked is understood")


def _listed(value: bytes) -> list[bytes]:
    """The elements of a comma-separated list field, in lower case; empty elements do not count."""
    return [element for part in value.lower().split(b",") if (element := part.strip(b" \t"))]
