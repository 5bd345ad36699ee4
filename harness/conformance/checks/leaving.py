"""Clients that misbehave: do others notice?"""

import threading

from harness.conformance.bench import LARGEST_BODY_BYTES, Bench
from harness.conformance.findings import require
from harness.conformance.messages import GET, post, require_right

TIMES = 5
READ_BYTES = 1 << 20


def reset_in_request(bench: Bench) -> str:
    """A client that resets the connection in the middle of a request harms nobody."""
    server, body = bench.plain(), post(b"a" * 1_000)
    for request in (GET[:10], GET[:-1], body[:-1], body[: len(body) - 1_000], GET + GET[:20]):
        for _ in range(TIMES):
            connection = server.connect()
            connection.send(request)
            connection.reset()
        server.require_alive()
    return f"{TIMES} times at each of 5 places"


def reset_in_response(bench: Bench) -> str:
    """A client that resets the connection in the middle of a 64 MiB answer harms nobody."""
    server = bench.body(LARGEST_BODY_BYTES)
    times = TIMES if bench.scale.patient else 1
    for pipelined in (1, 3):
        for _ in range(times):
            connection = server.connect()
            connection.send(GET * pipelined)
            connection.receive(READ_BYTES)
            connection.reset()
        server.require_alive()
    return f"{2 * times} times"


def slow_reader(bench: Bench) -> str:
    """A client that asks for 64 MiB twice and reads nothing holds up nobody else, and gets both whole when it reads."""
    bench.need_two_at_once()
    server = bench.body(LARGEST_BODY_BYTES)
    greedy = server.connect()
    greedy.send(GET * 2)
    for _ in range(2):
        require_right(server.ask_once(), None, GET)
    threading.Event().wait(0.1)
    for _ in range(2):
        got = greedy.answer()
        require_right(got, None, GET)
        require(len(got.body) == LARGEST_BODY_BYTES, f"of {LARGEST_BODY_BYTES:,} bytes {len(got.body):,} came")
    return "2 x 64 MiB"
