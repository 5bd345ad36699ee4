"""Every model refuses what is malformed, contradictory or too large, and closes the connection."""

from pathlib import Path

import pytest

from tests.models.support import GET, Server, serving

MALFORMED = {
    "no request": b"hello\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00",
    "an empty target": b"GET  HTTP/1.1\r\nHost: t\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: t\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "a method that is no token": b"G(T / HTTP/1.1\r\nHost: t\r\n\r\n",
    "a line that ends in LF": b"GET / HTTP/1.1\nHost: t\n\n",
    "a field that ends in LF": b"GET / HTTP/1.1\r\nHost: t\nA: b\r\n\r\n",
    "a bare CR": b"GET / HTTP/1.1\r\nHost: t\rA: b\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\nHost: t\r\nA: \0\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: t\r\nhost: t\r\n\r\n",
    "a Host that is none": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "white space before the colon": b"GET / HTTP/1.1\r\nHost : t\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\nHost: t\r\nA: b\r\n c\r\n\r\n",
    "a line without a colon": b"GET / HTTP/1.1\r\nHost: t\r\nA\r\n\r\n",
    "a field without a name": b"GET / HTTP/1.1\r\nHost: t\r\n: b\r\n\r\n",
    "a length and a coding": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    "a list of lengths": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3, 3\r\n\r\n",
    "a signed length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: +3\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: -3\r\n\r\n",
    "a hexadecimal length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 0x3\r\n\r\n",
    "an empty length": b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length:\r\n\r\n",
    "an empty coding": b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding:\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
    "a coding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
}
BROKEN_CHUNKS = {
    "no size": b"\r\n",
    "a size that is no number": b"g\r\n",
    "a size with a prefix": b"0x5\r\nhello\r\n",
    "a size with an underscore": b"1_0\r\n0123456789abcdef\r\n",
    "a signed size": b"+5\r\nhello\r\n",
    "a size with a space": b"5 \r\nhello\r\n",
    "a size line that ends in LF": b"5\nhello",
    "a size line without end": b"5;" + b"a" * 2_000,
    "more data than its size": b"5\r\nhello!",
    "data that ends in LF": b"5\r\nhello\n0\r\n\r\n",
    "a size of 17 digits": b"00000000000000005\r\nhello\r\n",
    "a trailer without a colon": b"0\r\nA\r\n\r\n",
    "a folded trailer": b"0\r\nA: b\r\n c\r\n\r\n",
}
CHUNKED = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


def assert_refused(server: Server, data: bytes, status: int) -> None:
    client = server.client()
    response = client.ask(GET + data)
    assert response.status == 200
    response = client.response()
    assert (response.status, response.headers["connection"]) == (status, "close"), data[:200]
    assert client.at_end()


def test_what_is_malformed_gets_400(model: str, folder: Path) -> None:
    with serving(model, folder) as server:
        for data in (*MALFORMED.values(), *(CHUNKED + chunks for chunks in BROKEN_CHUNKS.values())):
            assert_refused(server, data, 400)
        end = server.stop()
    count = len(MALFORMED) + len(BROKEN_CHUNKS)
    assert (end.bad_requests, end.requests, end.connections) == (count, count, count)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 67108865\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", 413),
        (CHUNKED + b"4000001\r\n", 413),
        (CHUNKED + b"ffffffffffffffff\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: t\r\nA: " + b"a" * (64 << 10) + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * (65 << 10), 431),
        (CHUNKED + b"0\r\nA: " + b"a" * (9 << 10), 431),
        (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: identity\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505),
    ],
)
def test_what_is_too_large_or_not_understood_gets_its_status(
    model: str, folder: Path, data: bytes, status: int
) -> None:
    with serving(model, folder) as server:
        assert_refused(server, data, status)
        assert server.stop().bad_requests == 1


def test_a_client_that_goes_on_sending_can_still_read_why_it_was_refused(model: str, folder: Path) -> None:
    with serving(model, folder) as server:
        client = server.client()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999\r\n\r\n")
        for _ in range(50):
            client.send(b"a" * 10_000)
        assert client.response().status == 413


def test_a_head_just_within_the_limit_is_served(model: str, folder: Path) -> None:
    with serving(model, folder) as server:
        head = b"GET / HTTP/1.1\r\nHost: t\r\nA: "
        padding = b"a" * ((64 << 10) - len(head) - 4)
        assert server.client().ask(head + padding + b"\r\n\r\n").status == 200
