"""The head of a request: its grammar, and what it says about the body and the connection (RFC 9112, 9110).

The policy is strict, because two parties that read one message differently is what request smuggling lives on:
lines end in CRLF (a bare CR or LF is an error), no white space before a colon, no folded lines, one Host, one
length. A whole head is matched by one expression, which never backtracks (possessive quantifiers).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

HEAD_LIMIT_BYTES: Final = 64 << 10
BODY_LIMIT_BYTES: Final = 64 << 20
CHUNKED: Final = -1  # in place of a length
CRLF: Final = b"\r\n"
_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_FIELD_LINES: Final = rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+"

# Empty lines before a request are skipped (RFC 9112, 2.2).
HEAD: Final = re.compile(rb"(?:\r\n)*+(" + _TOKEN + rb") ([!-~]++) HTTP/([0-9])\.([0-9])\r\n" + _FIELD_LINES + CRLF)
TRAILERS: Final = re.compile(_FIELD_LINES + CRLF)
# What no head contains, however it goes on: such a head is refused without waiting for its end.
BROKEN_LINES: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?=[^\n])")

# The only fields that change how a request is read. The look at the first letter makes other lines cheap.
_FRAMING_FIELDS: Final = re.compile(
    rb"\n(?=[HhCcTtEe])(?i:(host|connection|content-length|transfer-encoding|expect)):[ \t]*+([^\r]*)"
)
_HOST: Final = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+,;=:%\[\]]*")
_DIGITS: Final = re.compile(rb"[0-9]+")
_NONE: Final[Sequence[bytes]] = ()


class RequestError(Exception):
    """A request that cannot be served: the status to refuse it with, and why. The connection ends with it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(slots=True)
class Request:
    """A request, as far as the server needs to know it."""

    method: bytes
    target: bytes
    http_1_0: bool
    keep_alive: bool
    length: int  # of the body in bytes, or CHUNKED
    expects_continue: bool
    body: bytes | bytearray = b""


def read_head(match: "re.Match[bytes]") -> Request:
    """What a head that `HEAD` has matched says; the body is still to come.

    Raises:
        RequestError: it contradicts itself or asks for what is not served.
    """
    method, target, major, minor = match.groups()
    if major != b"1":
        raise RequestError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    http_1_0 = minor == b"0"
    fields: dict[bytes, list[bytes]] = {}
    for name, value in _FRAMING_FIELDS.findall(match.string, match.end(4), match.end()):
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    _check_host(fields.pop(b"host", _NONE), http_1_0)
    if not fields:
        return Request(method, target, http_1_0, not http_1_0, 0, False)
    length = _length(fields.get(b"content-length", _NONE), fields.get(b"transfer-encoding", _NONE), http_1_0)
    return Request(
        method,
        target,
        http_1_0,
        keep_alive=_keep_alive(fields.get(b"connection", _NONE), http_1_0),
        length=length,
        expects_continue=length != 0 and not http_1_0 and b"100-continue" in _listed(fields.get(b"expect", _NONE)),
    )


def _check_host(hosts: Sequence[bytes], http_1_0: bool) -> None:
    if len(hosts) != 1:
        if http_1_0 and not hosts:
            return
        raise RequestError(400, "an HTTP/1.1 request has one Host field")
    if _HOST.fullmatch(hosts[0]) is None:
        raise RequestError(400, "the Host field is not a host")


def _keep_alive(connection: Sequence[bytes], http_1_0: bool) -> bool:
    options = _listed(connection)
    return b"close" not in options and (not http_1_0 or b"keep-alive" in options)


def _length(lengths: Sequence[bytes], codings: Sequence[bytes], http_1_0: bool) -> int:
    if codings:
        if lengths or http_1_0:
            raise RequestError(400, "Transfer-Encoding beside Content-Length, or in HTTP/1.0")
        return _coding(_listed(codings))
    if not lengths:
        return 0
    if any(length != lengths[0] for length in lengths) or _DIGITS.fullmatch(lengths[0]) is None:
        raise RequestError(400, "Content-Length is not one number")
    digits = lengths[0].lstrip(b"0") or b"0"
    if len(digits) > 18 or int(digits) > BODY_LIMIT_BYTES:
        raise RequestError(413, f"the body is larger than {BODY_LIMIT_BYTES} bytes")
    return int(digits)


def _coding(codings: Sequence[bytes]) -> int:
    if list(codings) == [b"chunked"]:
        return CHUNKED
    if not codings or b"chunked" in codings[:-1]:
        raise RequestError(400, "Transfer-Encoding must name chunked once, and last")
    raise RequestError(501, "of the transfer codings only chunked is understood")


def _listed(values: Sequence[bytes]) -> list[bytes]:
    """The elements of a comma-separated list field, in lower case; empty elements do not count."""
    return [element for part in b",".join(values).lower().split(b",") if (element := part.strip(b" \t"))]
