"""The response parser: what it takes, what it refuses, and that the cuts between reads do not matter."""

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.protocols.base import MalformedError
from client.protocols.http1_response import MAX_CHUNK_LINE_BYTES, MAX_HEAD_BYTES, Head, Response

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "content length": (OK + b"Content-Length: 5\r\n\r\nhello", Head(200, 5, False, True)),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", Head(200, 0, False, True)),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", Head(200, 0, False, True)),
    "empty reason": (b"HTTP/1.1 204 \r\n\r\n", Head(204, 0, False, True)),
    "not modified has no body": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", Head(304, 0, False, True)),
    "same length twice": (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", Head(200, 2, False, True)),
    "close": (OK + b"Content-Length: 2\r\nConnection: Close\r\n\r\nhi", Head(200, 2, False, False)),
    "close among others": (OK + b"Content-Length: 2\r\nConnection: x, close\r\n\r\nhi", Head(200, 2, False, False)),
    "old protocol": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", Head(200, 2, False, False)),
    "old but kept": (
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
        Head(200, 2, False, True),
    ),
    "chunked": (OK + b"Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Head(200, None, True, True)),
    "chunk extension": (
        OK + b"Transfer-Encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
        Head(200, None, True, True),
    ),
    "trailer": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nDigest: a\r\n\r\n",
        Head(200, None, True, True),
    ),
    "line ends in the data": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n",
        Head(200, None, True, True),
    ),
    "interim first": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx", Head(200, 1, False, True)),
    "error status": (b"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx", Head(500, 1, False, True)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_response_is_whole_and_its_head_is_understood(name: str) -> None:
    data, head = WHOLE[name]
    assert Response("GET").feed(data) == head


@given(st.sampled_from(sorted(WHOLE)), st.lists(st.integers(0, 200), max_size=12))
def test_cuts_between_reads_change_nothing(name: str, cuts: list[int]) -> None:
    data, head = WHOLE[name]
    edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    response = Response("GET")
    heads = [response.feed(data[a:b]) for a, b in pairwise(edges)]
    assert heads == [None] * (len(edges) - 2) + [head]


@pytest.mark.parametrize("name", WHOLE)
def test_byte_by_byte_it_is_whole_with_the_last_byte_and_not_before(name: str) -> None:
    data, head = WHOLE[name]
    response = Response("GET")
    assert [response.feed(data[i : i + 1]) for i in range(len(data))] == [None] * (len(data) - 1) + [head]


BROKEN = {
    "garbage": b"\x00\x01garbage",
    "another protocol": b"SSH-2.0-OpenSSH",
    "bare line ends": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "status too short": b"HTTP/1.1 20 OK\r\n\r\n",
    "status not a number": b"HTTP/1.1 abc OK\r\n\r\n",
    "later protocol": b"HTTP/2.0 200 OK\r\n\r\n",
    "space before the colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "folded header": OK + b"A: b\r\n c\r\n\r\n",
    "no colon": OK + b"nonsense\r\n\r\n",
    "control character in a value": OK + b"A: b\x00c\r\n\r\n",
    "lone carriage return": OK + b"A: b\rc\r\n\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "signed length": OK + b"Content-Length: +1\r\n\r\nx",
    "empty length": OK + b"Content-Length:\r\n\r\n",
    "length beside chunks": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "other coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks in the old protocol": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size no number": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "chunk longer than its size": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "chunk line without CR": OK + b"Transfer-Encoding: chunked\r\n\r\n2\nab\r\n",
    "bad trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nnonsense\r\n\r\n",
    "endless chunk line": OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * MAX_CHUNK_LINE_BYTES,
    "endless head": OK + b"A: " + b"x" * MAX_HEAD_BYTES,
    "bytes beyond the end": OK + b"Content-Length: 1\r\n\r\nxy",
    "a second response": 2 * (OK + b"Content-Length: 1\r\n\r\nx"),
    "body of a 204": b"HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\nx",
    "switch of protocol": b"HTTP/1.1 101 Switching\r\n\r\n",
    "interim without end": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17,
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_grammar_is_malformed(name: str) -> None:
    with pytest.raises(MalformedError):
        Response("GET").feed(BROKEN[name])


@pytest.mark.parametrize("name", BROKEN)
def test_it_is_malformed_byte_by_byte_as_well(name: str) -> None:
    response, data = Response("GET"), BROKEN[name]
    with pytest.raises(MalformedError):
        [response.feed(data[i : i + 1]) for i in range(len(data))]


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_or_refused_but_never_crash(data: bytes) -> None:
    with suppress(MalformedError):
        Response("GET").feed(data)


@given(st.binary(max_size=100))
def test_an_arbitrary_rest_after_a_good_beginning_never_crashes(data: bytes) -> None:
    with suppress(MalformedError):
        Response("GET").feed(OK + b"Transfer-Encoding: chunked\r\n\r\n" + data)


def test_a_body_without_a_length_is_whole_when_the_connection_ends() -> None:
    response = Response("GET")
    assert response.feed(OK + b"\r\nsome") is None
    assert response.feed(b" more") is None
    assert response.end() == Head(200, None, False, False)


@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 2", OK + b"Content-Length: 5\r\n\r\nhel", OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"]
)
def test_an_end_in_the_middle_leaves_it_unfinished(data: bytes) -> None:
    response = Response("GET")
    assert response.feed(data) is None
    assert response.end() is None


def test_an_answer_to_head_has_no_body_whatever_it_says() -> None:
    assert Response("HEAD").feed(OK + b"Content-Length: 500\r\n\r\n") == Head(200, 0, False, True)


@pytest.mark.parametrize(
    ("data", "plain"),
    [
        (OK + b"Content-Length: 1\r\n\r\nx", OK + b"Content-Length: 1\r\n\r\n"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx", b""),
    ],
    ids=["length", "chunked", "after an interim response"],
)
def test_only_a_head_that_gives_the_length_by_itself_may_be_remembered(data: bytes, plain: bytes) -> None:
    response = Response("GET")
    response.feed(data)
    assert response.plain_head == plain
