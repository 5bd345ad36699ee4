"""Is a connection kept and closed as it was asked for?"""

from harness.conformance.bench import Bench
from harness.conformance.findings import excerpt, require
from harness.conformance.messages import GET, post, require_right

KEPT = (
    b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: test\r\nConnection: keep-alive\r\n\r\n",
)
CLOSED = (
    b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Keep-Alive, CLOSE\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: test\r\nConnection: x\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
)
OLD = b"GET / HTTP/1.0\r\n\r\n"
OLD_KEPT = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


def keep_alive(bench: Bench) -> str:
    """HTTP/1.1 keeps the connection unless told otherwise."""
    connection = bench.plain().connect()
    for request in KEPT * 5:
        got = connection.ask(request)
        require_right(got, None, request)
        require("close" not in got.fields.get("connection", ""), f"to {excerpt(request)} came {got}: it is not kept")
    return f"{len(KEPT) * 5} requests on one connection"


def close(bench: Bench) -> str:
    """`Connection: close` is answered, said and done; what comes behind it is not answered."""
    server = bench.plain()
    for request in CLOSED:
        for behind in (b"", GET):
            _expect_closed(bench, request + behind)
    require_right(server.ask_once(), None, GET)
    return f"{len(CLOSED)} spellings"


def http_1_0(bench: Bench) -> str:
    """HTTP/1.0 closes the connection unless keep-alive is asked for."""
    _expect_closed(bench, OLD)
    connection = bench.plain().connect()
    for request in (OLD_KEPT, OLD_KEPT, GET):
        got = connection.ask(request)
        require_right(got, None, request)
        if request == OLD_KEPT:
            said = got.fields.get("connection", "").lower()
            require(said == "keep-alive", f"to {excerpt(request)} came {got}: Connection: keep-alive is not said")
    return "closed by default, kept where asked"


def half_close(bench: Bench) -> str:
    """A client that has stopped sending still gets the answers to what it sent, and then the end."""
    server, requests = bench.plain(), [GET, GET]
    if bench.takes_echo:
        server, requests = bench.echo(), [post(b"one"), post(b"two" * 40_000)]
    connection = server.connect()
    connection.send(b"".join(requests))
    connection.stop_sending()
    for request in requests:
        expected = request.partition(b"\r\n\r\n")[2] if bench.takes_echo else None
        require_right(connection.answer(), expected, request)
    connection.expect_end()
    half = server.connect()
    half.send(GET[:-4])
    half.stop_sending()
    end = half.receive(4_096)
    require(end[:12] in (b"", b"HTTP/1.1 400"), f"to half a request and the end of it came {excerpt(end)}")
    return "both answers, then the end"


def _expect_closed(bench: Bench, request: bytes) -> None:
    connection = bench.plain().connect()
    got = connection.ask(request)
    require_right(got, None, request)
    said = got.fields.get("connection", "").lower()
    require(said == "close", f"to {excerpt(request)} came {got}: Connection: close is not said")
    connection.expect_end()
