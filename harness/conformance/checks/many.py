"""Many connections: one after another, and at once."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from harness.conformance.bench import Bench, Server, wait_until
from harness.conformance.findings import Failed, NotApplicable, require
from harness.conformance.footprint import Footprint, footprint
from harness.conformance.messages import GET, GET_AND_CLOSE, require_right
from harness.conformance.wire import PATIENCE_S, Connection

AT_ONCE = 8
SETTLE_S = 10.0  # for what ends by itself to end
SPARE = 64  # descriptors, processes or threads more than before that are no leak yet
LEAK_BYTES = 512  # for each connection; a leak is more than this
MEMORY_JUDGED_FROM = 2_000  # connections: below, a server's warming up would look like a leak
WORKING_REQUESTS = 50
ASKED_AGAIN = 20
BEYOND = 4
UNSERVED_S = 0.3  # a server that served beyond its bound would have answered by then


@dataclass(frozen=True)
class Churn:
    """What a server held when the first connections had come and gone, half-way, and at the end."""

    looks: tuple[Footprint, Footprint, Footprint]
    half: int  # connections between two looks


def open_and_close(bench: Bench) -> str:
    """10,000 connections (500 in the short form) with a request each, closed by either side, are all answered."""
    bench.once(_churn)
    return f"{bench.scale.connections:,} connections, {bench.at_once(AT_ONCE)} at a time"


def leak_descriptors(bench: Bench) -> str:
    """Connections that have come and gone leave no descriptor open."""
    return _judge(bench, "descriptors", [look.descriptors for look in bench.once(_churn).looks])


def leak_processes(bench: Bench) -> str:
    """Connections that have come and gone leave no process behind, dead or alive."""
    return _judge(bench, "processes", [look.processes for look in bench.once(_churn).looks])


def leak_threads(bench: Bench) -> str:
    """Connections that have come and gone leave no thread behind."""
    return _judge(bench, "threads", [look.threads for look in bench.once(_churn).looks])


def leak_memory(bench: Bench) -> str:
    """Connections that have come and gone leave less than half a KiB each (a leak goes on; warming up ends)."""
    churn = bench.once(_churn)
    if churn.half < MEMORY_JUDGED_FROM:
        raise NotApplicable(f"{churn.half:,} connections are too few to tell a leak from warming up")
    sizes = [look.memory_bytes for look in churn.looks]
    first, middle, last = (_known(size, "memory") for size in sizes)
    each = min(middle - first, last - middle) / churn.half
    says = f"{first / 1e6:.1f} MB, {middle / 1e6:.1f} MB, {last / 1e6:.1f} MB, each {churn.half:,} connections later"
    require(each <= LEAK_BYTES, f"memory grows by {each:,.0f} bytes a connection: {says}")
    return says


def idle(bench: Bench) -> str:
    """While 1,000 connections (or all that the workers can serve but one) are held idle, one more works and all stay."""
    server = bench.plain()
    bench.need_two_at_once()
    count = bench.scale.idle if bench.bound is None else min(bench.scale.idle, bench.bound - 1)
    held = _hold(server, count)
    working = server.connect()
    for number in range(WORKING_REQUESTS):
        try:
            require_right(working.ask(GET), None, GET)
        except Failed as failed:
            raise Failed(f"request {number + 1}, with {count:,} idle connections: {failed}") from None
    for connection in held[:: max(1, count // ASKED_AGAIN)]:
        require_right(connection.ask(GET), None, GET)
    return f"{count:,} idle connections"


def beyond_bound(bench: Bench) -> str:
    """Connections beyond the number of workers wait, and each is served when a worker becomes free."""
    bound = bench.bound
    if bound is None:
        raise NotApplicable("`concurrency: unbounded`: there is no bound")
    server = bench.plain()
    held = _hold(server, bound)
    waiting = []
    for _ in range(BEYOND):
        connection = server.connect()
        connection.send(GET_AND_CLOSE)
        waiting.append(connection)
    time.sleep(UNSERVED_S)
    for connection in waiting:
        if not connection.is_silent(0.001):
            raise Failed(f"a connection beyond {bound} workers did not wait: at once came {connection.answer()}")
    held[0].close()
    require(_one_served(waiting), f"one of {bound} workers became free, and no waiting connection was served")
    for connection in held[1:]:
        connection.close()
    for connection in waiting:
        require_right(connection.answer(), None, GET_AND_CLOSE)
    return f"{BEYOND} beyond {bound}"


def _hold(server: Server, count: int) -> list[Connection]:
    """So many connections, each answered once and kept."""
    held: list[Connection] = []
    for number in range(count):
        connection = server.connect()
        try:
            require_right(connection.ask(GET), None, GET)
        except Failed as failed:
            raise Failed(f"connection {number + 1} of {count:,} held at once: {failed}") from None
        held.append(connection)
    return held


def _one_served(waiting: Sequence[Connection]) -> bool:
    return wait_until(lambda: any(not connection.is_silent(0.001) for connection in waiting), PATIENCE_S)


def _churn(bench: Bench) -> Churn:
    scale = bench.scale
    half = (scale.connections - scale.settling) // 2
    with bench.fresh() as server:
        _open_and_close(bench, server, scale.settling)
        first = _settled(server, None)
        _open_and_close(bench, server, half)
        middle = _settled(server, first)
        _open_and_close(bench, server, scale.connections - scale.settling - half)
        return Churn((first, middle, _settled(server, first)), half)


def _open_and_close(bench: Bench, server: Server, count: int) -> None:
    workers = bench.at_once(AT_ONCE)

    def visit(start: int) -> None:
        for number in range(start, count, workers):
            by_server = number % 2
            got = server.ask_once(GET_AND_CLOSE if by_server else GET)
            require_right(got, None, GET)

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(visit, range(workers)):
            pass


def _settled(server: Server, before: Footprint | None) -> Footprint:
    """A look when what ends by itself has ended: no more than before, or no more change, or the time is up."""
    until_s = time.monotonic() + SETTLE_S
    last = _look(server)
    while time.monotonic() < until_s:
        time.sleep(0.2)
        now = _look(server)
        if now.counts == last.counts and (before is None or not _more(now, before)):
            return now
        last = now
    return last


def _more(now: Footprint, before: Footprint) -> bool:
    return any(
        one is not None and other is not None and one > other + SPARE
        for one, other in zip(now.counts, before.counts, strict=True)
    )


def _look(server: Server) -> Footprint:
    look = footprint(server.service.main_pid)
    if look is None:
        raise NotApplicable("the server's processes are not to be seen from here")
    return look


def _judge(bench: Bench, what: str, counts: Sequence[int | None]) -> str:
    first, _, last = (_known(count, what) for count in counts)
    later = bench.scale.connections - bench.scale.settling
    says = f"{first} {what}, {last} after {later:,} more connections"
    require(last <= first + SPARE, says)
    return says


def _known(value: int | None, what: str) -> int:
    if value is None:
        raise NotApplicable(f"the {what} of the server's processes may not be read; run it as root")
    return value
