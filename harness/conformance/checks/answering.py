"""Whole requests, one after another: is each answered rightly?"""

from harness.conformance.bench import Bench
from harness.conformance.findings import Failed, excerpt, require
from harness.conformance.messages import GET, binary, chunked, post, require_fields, require_right

SIZES = (0, 1, 1 << 20)
LINES = (b"GET / ", b"POST /a?b=c ", b"DELETE http://test/x ", b"OPTIONS * ", b"BREW /pot ")


def answer(bench: Bench) -> str:
    """A GET is answered with status 200, Date and Content-Length, twice on one connection."""
    connection = bench.plain().connect()
    for _ in range(2):
        got = connection.ask(GET)
        require_right(got, None, GET)
        require_fields(got, GET)
    return f"a body of {len(got.body):,} bytes"


def any_request(bench: Bench) -> str:
    """Any path and any method is answered alike."""
    connection = bench.plain().connect()
    expected = connection.ask(GET).body
    for line in LINES:
        request = line + b"HTTP/1.1\r\nHost: test\r\n\r\n"
        require_right(connection.ask(request), expected, request)
    return f"{len(LINES)} methods and paths"


def body(bench: Bench) -> str:
    """An answer's body has the size that the handler asks for."""
    sizes = SIZES if bench.scale.patient else SIZES[:1]
    for size in sizes:
        connection = bench.body(size).connect()
        for _ in range(2):
            got = connection.ask(GET)
            require_right(got, None, GET)
            require(len(got.body) == size, f"asked for a body of {size:,} bytes, {len(got.body):,} came")
    return f"{', '.join(f'{size:,}' for size in sizes)} bytes"


def echo(bench: Bench) -> str:
    """An echo gives the request's body back, byte for byte, however it was sent and whatever is in it."""
    connection = bench.echo().connect()
    require_right(connection.ask(GET), b"", GET)
    for size in SIZES:
        sent = binary(size)
        pieces = [sent[start : start + 60_000] for start in range(0, size, 60_000)]
        for request in (post(sent), chunked(pieces), chunked(pieces, b"Checksum: 1\r\n")):
            require_right(connection.ask(request), sent, request)
    extended = chunked([]).replace(b"0\r\n\r\n", b"5;name=value\r\nhello\r\n00A\r\n, chunked \r\n0\r\n\r\n")
    require_right(connection.ask(extended), b"hello, chunked ", extended)
    return f"{', '.join(f'{size:,}' for size in SIZES)} bytes, with a length and in chunks"


def head(bench: Bench) -> str:
    """HEAD is answered with the Content-Length of a GET and no body."""
    connection = bench.plain().connect()
    request = GET.replace(b"GET", b"HEAD")
    expected = connection.ask(GET)
    got = connection.ask(request, to_head=True)
    require_right(got, b"", request)
    length = got.fields.get("content-length")
    require(
        length == str(len(expected.body)),
        f"to {excerpt(request)} came Content-Length {length}, a GET has {len(expected.body)} bytes",
    )
    require_right(connection.ask(GET), expected.body, request + GET)
    return f"Content-Length {length}"


def expect_continue(bench: Bench) -> str:
    """A client that expects 100-continue gets it before it sends the body, and then its answer."""
    server = bench.echo() if bench.takes_echo else bench.plain()
    connection = server.connect()
    head = b"POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    first = connection.ask(head)
    if first.status != 100:
        raise Failed(f"to {excerpt(head)} came {first}, not status 100")
    connection.send(b"a")
    connection.send(b"bc")
    require_right(connection.answer(), b"abc" if bench.takes_echo else None, head + b"abc")
    return "100, then 200"
