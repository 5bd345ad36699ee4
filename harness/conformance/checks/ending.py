"""How the server ends: in time, in order, with the right numbers, and leaving nothing."""

import itertools
import time
from signal import SIGINT, Signals

from harness.conformance.bench import LARGEST_BODY_BYTES, Bench, Server
from harness.conformance.findings import Failed, NotApplicable, require
from harness.conformance.load import GRACE_S, STOP_S, Ending, end_under_load, stop
from harness.conformance.messages import GET, require_right
from harness.conformance.wire import PATIENCE_S, Connection
from harness.raw import ServerMark, ServerReport

HELD = 8
TOGETHER = 100  # requests in one send: what is received of them, is received of all
ANSWERED_IN_S = 1.0
COUNTERS = (
    "requests",
    "connections",
    "accepts",
    "forks",
    "threads",
    "wakeups",
    "bad_requests",
    "cpu_user_s",
    "cpu_system_s",
)


def stop_status(bench: Bench) -> str:
    """On SIGTERM under load the server ends with status 0 within 5 s."""
    ending = bench.once(end_under_load)
    _require_ended(ending.status, ending.took_s, ending.logs)
    return f"{ending.took_s:.2f} s, {ending.total('answers'):,} answers before"


def stop_whole(bench: Bench) -> str:
    """On SIGTERM under load every answer that has begun is sent whole, and none is wrong."""
    ending = bench.once(end_under_load)
    for what in ("cut", "wrong"):
        cases = [case for client in ending.clients for case in getattr(client, what)]
        require(not cases, f"{len(cases)} answers were {what}, such as {cases[0] if cases else ''}")
    return f"{ending.total('answers'):,} whole answers, {ending.total('unknown')} requests not answered"


def stop_received(bench: Bench) -> str:
    """Requests that are there when SIGTERM comes are still answered (100 on each connection: the server is behind)."""
    with bench.fresh() as server:
        held: list[Connection] = []
        for _ in range(bench.at_once(HELD)):
            connection = server.connect()
            connection.send(GET)
            if not connection.is_silent(ANSWERED_IN_S):  # else it waits for a worker
                require_right(connection.answer(), None, GET)
                held.append(connection)
        require(bool(held), f"no connection was answered within {ANSWERED_IN_S:g} s")
        for connection in held:
            connection.send(GET * TOGETHER)
        server.service.signal(server.stop_signal)
        for connection in held:
            for number in range(TOGETHER):
                try:
                    require_right(connection.answer(), None, GET)
                except Failed as failed:
                    raise Failed(f"{number + 1} of {TOGETHER}, sent just before SIGTERM: {failed}") from None
        return f"{TOGETHER} requests on each of {len(held)} connections"


def stop_sending(bench: Bench) -> str:
    """An answer of 64 MiB that is being sent when SIGTERM comes is sent whole to a client that reads it."""
    with bench.fresh(LARGEST_BODY_BYTES) as server:
        connection = server.connect()
        connection.send(GET)
        require(not connection.is_silent(PATIENCE_S), "no answer began")
        server.service.signal(server.stop_signal)
        try:
            require_right(connection.answer(), None, GET)
        except Failed as failed:
            raise Failed(f"begun before SIGTERM: {failed}") from None
        return "64 MiB"


def stop_idle(bench: Bench) -> str:
    """Idle and half-sent connections do not hold up the end, and SIGINT is as good as SIGTERM."""
    with bench.fresh() as server:
        held = [server.connect() for _ in range(bench.at_once(HELD))]
        for number, connection in enumerate(held):
            connection.send(GET if number % 2 else GET[:-4])
        for connection in held[1::2]:
            if not connection.is_silent(ANSWERED_IN_S):
                require_right(connection.answer(), None, GET)
        _require_stopped(server, SIGINT if bench.takes_handler else server.stop_signal)
        for connection in held:
            while connection.receive(1 << 16):  # an answer that was late
                pass
    return f"{len(held)} connections"


def stop_unread(bench: Bench) -> str:
    """A client that reads nothing of its 64 MiB does not hold up the end."""
    if not bench.scale.patient:
        raise NotApplicable("it takes seconds; asked in the full form")
    with bench.fresh(LARGEST_BODY_BYTES) as server:
        connection = server.connect()
        connection.send(GET)
        require(not connection.is_silent(PATIENCE_S), "no answer began")
        return _require_stopped(server, server.stop_signal)


def exit_report(bench: Bench) -> str:
    """The exit report keeps the contract (`exit.json`, and the same as a line of standard output)."""
    ending = _counted(bench)
    if ending.report is None:
        raise Failed(ending.trouble)
    require(ending.printed, "what it prints has no line with the report that it left in exit.json")
    return f"{ending.report.requests} requests, {ending.report.connections} connections"


def counts(bench: Bench) -> str:
    """The exit report's totals agree with what clients got, to the last request and connection."""
    ending = _counted(bench)
    report = _report_of(ending)
    answers, served = (ending.proving + ending.total(name) for name in ("answers", "served"))
    if report.connections is not None:
        _require_within("connections", report.connections, served, ending.proving + ending.total("connections"))
    if report.requests is None:
        return f"{report.connections} connections; it does not count requests"
    _require_within("requests", report.requests, answers, answers + ending.total("unknown"))
    return f"{report.requests} requests, clients got {answers} and {ending.total('unknown')} are unknown"


def marks(bench: Bench) -> str:
    """Each SIGUSR1 leaves one mark, and no counter ever falls from mark to mark to the end."""
    ending = _counted(bench)
    report = _report_of(ending)
    require(len(report.marks) == ending.marks, f"{ending.marks} signals left {len(report.marks)} marks")
    for earlier, later in itertools.pairwise((*report.marks, report)):
        require(earlier.at_ns < later.at_ns, f"a mark at {earlier.at_ns} ns is followed by one at {later.at_ns} ns")
        _require_no_fall(earlier, later)
    return f"{ending.marks} marks"


def port_free(bench: Bench) -> str:
    """After the end the port can be listened on again."""
    ending = bench.once(end_under_load)
    if ending.port_taken is None:
        raise NotApplicable("it listened in a network of its own, which is gone")
    require(not ending.port_taken, f"listening on it says: {ending.port_taken}; who has inherited the socket?")
    return "listened on again"


def _require_stopped(server: Server, number: Signals) -> str:
    begun_s = time.monotonic()
    status = stop(server, number)
    took_s = time.monotonic() - begun_s
    _require_ended(status, took_s, server.service.logs()[-800:])
    return f"{took_s:.2f} s"


def _require_ended(status: int | None, took_s: float, logs: str) -> None:
    require(status is not None, f"it had not ended {STOP_S + GRACE_S:g} s after the signal; its last output:\n{logs}")
    require(status == 0, f"it ended with status {status}, not 0, after {took_s:.2f} s; its last output:\n{logs}")


def _counted(bench: Bench) -> Ending:
    if bench.model.counts != "exact":
        raise NotApplicable("it writes no exit report (`counts: none`)")
    return bench.once(end_under_load)


def _report_of(ending: Ending) -> ServerReport:
    if ending.report is None:
        raise NotApplicable("there is no exit report to judge: see exit-report")
    return ending.report


def _require_within(what: str, value: int, low: int, high: int) -> None:
    require(low <= value <= high, f"it counted {value} {what}; clients saw {low} to {high}")


def _require_no_fall(earlier: ServerMark, later: ServerMark) -> None:
    for name in COUNTERS:
        one, other = getattr(earlier, name), getattr(later, name)
        require(one is None or (other is not None and other >= one), f"{name} was {one} at a mark, later {other}")
