"""What cannot be served is refused with the status that says why, and the connection ends with it."""

import time
from collections.abc import Mapping

from harness.conformance.bench import Bench, Server
from harness.conformance.findings import Failed, Gone, excerpt, require
from harness.conformance.messages import CHUNKED_HEAD, GET, require_right
from harness.conformance.refusals import (
    BROKEN_CHUNKS,
    FULL_HEAD,
    LARGE_HEADS,
    MALFORMED,
    NOT_UNDERSTOOD,
    TOO_LARGE,
)

SHOWN = 3  # of what was not refused


def malformed(bench: Bench) -> str:
    """What is no HTTP request gets 400 and the end of the connection, whatever was served on it before."""
    table = MALFORMED | {f"in a chunk: {name}": CHUNKED_HEAD + chunks for name, chunks in BROKEN_CHUNKS.items()}
    return _refused(bench.plain(), {name: (data, 400) for name, data in table.items()})


def large_head(bench: Bench) -> str:
    """A head of more than 64 KiB, and trailers of more than 8, get 431; a head of just 64 KiB is served."""
    server = bench.plain()
    connection = server.connect()
    require_right(connection.ask(FULL_HEAD), None, FULL_HEAD)
    connection.close()
    return _refused(server, {name: (data, 431) for name, data in LARGE_HEADS.items()})


def large_body(bench: Bench) -> str:
    """A body of more than 64 MiB gets 413, and a client that goes on sending can still read that."""
    server = bench.plain()
    says = _refused(server, {name: (data, 413) for name, data in TOO_LARGE.items()})
    connection = server.connect()
    connection.send(TOO_LARGE["a length just above the limit"])
    for _ in range(20):
        time.sleep(0.002)
        try:
            connection.send(b"a" * 10_000)
        except Gone:
            break
    got = connection.answer()
    require(got.status == 413, f"to a body of more than 64 MiB, sent on, came {got}")
    return f"{says}, one of them sent on"


def not_understood(bench: Bench) -> str:
    """A transfer coding other than chunked gets 501, another major version of HTTP 505."""
    return _refused(bench.plain(), NOT_UNDERSTOOD)


def _refused(server: Server, table: Mapping[str, tuple[bytes, int]]) -> str:
    wrong = []
    for name, (data, status) in table.items():
        try:
            _require_refused(server, data, status)
        except Failed as failed:
            wrong.append(f"{name}: {failed}")
    server.require_alive()
    if wrong:
        raise Failed(f"{len(wrong)} of {len(table)} were not refused as they must be: {'; '.join(wrong[:SHOWN])}")
    return f"{len(table)} requests"


def _require_refused(server: Server, data: bytes, status: int) -> None:
    connection = server.connect()
    try:
        connection.send(GET + data)
        require_right(connection.answer(), None, GET)
        got = connection.answer()
        said = got.fields.get("connection", "").lower()
        require(got.status == status and said == "close", f"to {excerpt(data)} came {got}, not {status} and close")
        connection.expect_end()
    finally:
        connection.close()
