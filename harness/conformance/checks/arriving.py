"""TCP is a stream: does a request mean the same however it arrives?"""

import threading
import time
from collections.abc import Sequence

from harness.conformance.bench import Bench, Server
from harness.conformance.findings import Failed, excerpt, require
from harness.conformance.messages import GET, GET_WITH_FIELDS, chunked, post, require_right
from harness.conformance.wire import PATIENCE_S, Connection

PAUSE_S = 0.002  # between the halves: an idle server has read the first by then
BYTE_PAUSE_S = 0.01
PIPELINED = 1_000
REQUESTS = (
    GET_WITH_FIELDS,
    post(b"hello\r\n\r\nworld", b"X-Case: length"),
    chunked([b"hello", b"\r\n\r\n", b"0123456789abcdef!"], b"Checksum: 1\r\n"),
)


def split(bench: Bench) -> str:
    """A request cut in two at any byte boundary is answered like the whole one (a GET, a body with a length, chunks)."""
    server, requests = _served(bench)
    boundaries = 0
    for request in requests:
        connection = server.connect()
        whole = connection.ask(request)
        require_right(whole, None, request)
        for place in range(1, len(request), bench.scale.every):
            connection.send(request[:place])
            time.sleep(PAUSE_S)
            connection.send(request[place:])
            try:
                got = connection.answer()
            except Failed as failed:
                raise Failed(f"cut behind {excerpt(request[:place])}: {failed}") from None
            require(
                (got.status, got.body) == (whole.status, whole.body),
                f"{excerpt(request)} cut behind byte {place} was answered with {got}, the whole one with {whole}",
            )
            boundaries += 1
        connection.close()
    return f"{boundaries} boundaries"


def coalesced(bench: Bench) -> str:
    """Requests that arrive together, or with the next one's beginning, are answered one by one."""
    server, served = _served(bench)
    require(bool(served), f"it answers none of {len(REQUESTS)} requests with 200")
    requests = [*served, *served, *served][: len(REQUESTS)]
    connection = server.connect()
    wholes = [connection.ask(request) for request in requests]
    stream = b"".join(requests)
    connection.send(stream)
    got = [connection.answer() for _ in requests]
    middle = len(requests[0]) + len(requests[1]) // 2
    for piece in (stream[:middle], stream[middle:]):
        connection.send(piece)
        time.sleep(PAUSE_S)
    got += [connection.answer() for _ in requests]
    for answer, whole in zip(got, wholes * 2, strict=True):
        require(
            (answer.status, answer.body) == (whole.status, whole.body),
            f"three requests together were answered with {answer}, on its own the same one with {whole}",
        )
    return "three in one packet, one and a half in each of two"


def pipelined(bench: Bench) -> str:
    """1,000 requests in one send are all answered, in their order, while the client reads slowly."""
    server = bench.echo() if bench.takes_echo else bench.plain()
    bodies = [b"request %d" % number for number in range(PIPELINED)]
    stream = b"".join(post(body) for body in bodies) if bench.takes_echo else GET * PIPELINED
    connection = server.connect()
    sender = threading.Thread(target=_send, args=(connection, stream), daemon=True)
    sender.start()
    for number, body in enumerate(bodies):
        if number % 50 == 0:
            time.sleep(PAUSE_S * 5)
        answer = connection.answer()
        if bench.takes_echo and answer.body != body:
            raise Failed(f"request {number} of {PIPELINED} had the body {body!r}; its answer is {answer}")
        require_right(answer, None, b"request %d of %d" % (number, PIPELINED))
    sender.join(PATIENCE_S)
    return f"{PIPELINED:,} answers in order"


def slow_writer(bench: Bench) -> str:
    """A client that sends byte by byte gets its answer, and others are served meanwhile."""
    bench.need_two_at_once()
    server = bench.plain()
    connection = server.connect()
    for place in range(len(GET)):
        connection.send(GET[place : place + 1])
        time.sleep(BYTE_PAUSE_S)
        if place % 10 == 5:
            _require_served(server, f"while another client had sent {place + 1} bytes of its request")
    require_right(connection.answer(), None, GET)
    return f"{len(GET)} bytes, {BYTE_PAUSE_S * 1e3:.0f} ms apart"


def _served(bench: Bench) -> tuple[Server, Sequence[bytes]]:
    """A server, and those of the requests that it serves: one that is not ours may know no POST."""
    if bench.takes_echo:
        return bench.echo(), REQUESTS
    server = bench.plain()
    return server, [request for request in REQUESTS if server.ask_once(request).status == 200]


def _require_served(server: Server, when: str) -> None:
    try:
        require_right(server.ask_once(), None, GET)
    except Failed as failed:
        raise Failed(f"{when}: {failed}") from None


def _send(connection: Connection, data: bytes) -> None:
    try:
        connection.send(data)
    except Failed:
        return  # the reader says why
