"""The parser: any split of any stream gives the same requests, or the same refusal, and nothing else is raised."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.head import RequestError
from common.parser import Parser
from harness.conformance.messages import CHUNKED_HEAD as CHUNKED
from harness.conformance.refusals import BROKEN_CHUNKS, MALFORMED


@dataclass(frozen=True)
class Parsed:
    method: bytes
    target: bytes
    keep_alive: bool
    body: bytes


Outcome = tuple[list[Parsed], int | None]


def parse(pieces: Sequence[bytes]) -> Outcome:
    """All requests of a stream fed in pieces, and the status of the refusal that ended it, if one did."""
    parser = Parser()
    parsed: list[Parsed] = []
    for piece in pieces:
        parser.feed(piece)
        try:
            while (request := parser.next()) is not None:
                parsed.append(Parsed(request.method, request.target, request.keep_alive, bytes(request.body)))
        except RequestError as error:
            return parsed, error.status
    return parsed, None


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


def chunked(body: bytes, sizes: Sequence[int]) -> bytes:
    out = b""
    for size in sizes:
        piece, body = body[:size], body[size:]
        if piece:
            out += b"%x;e=%d\r\n%b\r\n" % (len(piece), size, piece)
    return out + (b"%X\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n"


tokens = st.text("abcXYZ09-_!#$%&'*+.^`|~", min_size=1, max_size=8).map(str.encode)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=20).map(
    lambda text: text.encode("latin-1").translate(None, bytes(range(0x80, 0xA0)))
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, Parsed]:
    """A well-formed request, and what it must be read as."""
    method, target = draw(tokens), b"/" + draw(tokens)
    body = draw(st.binary(max_size=60))
    lines = [draw(st.sampled_from([b"Host: a", b"HOST:a:80  ", b"host:\t[::1]", b"Host:"]))]
    lines += [b"x" + name + b":" + value for name, value in draw(st.lists(st.tuples(tokens, values), max_size=4))]
    keep_alive = draw(st.booleans())
    if not keep_alive:
        lines.append(draw(st.sampled_from([b"Connection: close", b"connection:x, Close ", b"CONNECTION:\tclose,"])))
    if draw(st.booleans()):
        lines.append(b"transfer-encoding:  Chunked")
        trailer = draw(st.sampled_from([b"", b"A: b\r\n", b"A:\r\nB: c\r\n"]))
        payload = chunked(body, draw(st.lists(st.integers(1, 20), max_size=5))) + trailer + b"\r\n"
    else:
        payload = body
        if body or draw(st.booleans()):
            lines.append(b"Content-Length: %03d" % len(body))
    lines = draw(st.permutations(lines))
    blank = draw(st.sampled_from([b"", b"", b"\r\n", b"\r\n\r\n"]))
    head = blank + b"%b %b HTTP/1.1\r\n" % (method, target) + b"".join(line + b"\r\n" for line in lines)
    return head + b"\r\n" + payload, Parsed(method, target, keep_alive, body)


@given(st.lists(requests(), min_size=1, max_size=4), st.lists(st.integers(min_value=0), max_size=8))
def test_well_formed_requests_are_read_alike_however_they_are_cut(
    stream: list[tuple[bytes, Parsed]], places: list[int]
) -> None:
    data = b"".join(piece for piece, _ in stream)
    expected = ([parsed for _, parsed in stream], None)
    assert parse([data]) == expected
    assert parse(cut(data, places)) == expected
    assert parse([bytes([byte]) for byte in data]) == expected


@pytest.mark.parametrize("bad", [*MALFORMED.values(), *(CHUNKED + chunks for chunks in BROKEN_CHUNKS.values())])
def test_a_malformed_request_is_refused_alike_at_every_split(bad: bytes) -> None:
    stream = b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n" + bad
    expected = ([Parsed(b"GET", b"/first", True, b"")], 400)
    assert parse([stream]) == expected
    for place in range(len(stream)):
        assert parse([stream[:place], stream[place:]]) == expected
    assert parse([bytes([byte]) for byte in stream]) == expected


fragments = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            [
                b"GET / HTTP/1.1\r\n",
                b"Host: a\r\n",
                b"\r\n",
                b"\n",
                b"\r",
                b"Content-Length: 3\r\n",
                b"abc",
                b"0\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"3\r\nabc\r\n",
                b":",
                b" ",
                b"Connection: close\r\n",
                b"HTTP/1.0\r\n",
            ]
        ),
    ),
    max_size=20,
).map(b"".join)


@given(fragments, st.lists(st.integers(min_value=0), max_size=8))
def test_garbage_has_the_same_outcome_however_it_is_cut_and_raises_nothing_else(
    stream: bytes, places: list[int]
) -> None:
    whole = parse([stream])
    assert parse(cut(stream, places)) == whole
    assert parse([bytes([byte]) for byte in stream]) == whole


@given(st.integers(0, 40), st.sampled_from([b"", b"\r\n", b"\n", b"\r\n\r\n", b"\rx"]), st.integers(1, 70_000))
def test_a_head_near_the_limit_has_the_same_outcome_however_it_is_cut(around: int, end: bytes, piece: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nA: "
    stream = head + b"a" * ((64 << 10) - len(head) - 20 + around) + end
    assert parse(cut(stream, range(0, len(stream), piece)[:50])) == parse([stream])
