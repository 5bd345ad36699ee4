"""The servers of a trial one by one: what each of them answered and used, and what the balancer saw of it."""

from dataclasses import dataclass

from harness import readings
from harness.raw import BalancedServer, BalancerMark, BalancerReport, ServerReport
from harness.result import TrialResult


@dataclass(frozen=True)
class ServerPart:
    """One server in the window of one trial; in brackets, whose word it is."""

    name: str
    host: str  # empty: this machine
    rate_rps: float | None  # requests answered a second (the server's, else the balancer's, else the clients')
    share: float | None  # of those of all servers
    connections_per_s: float | None  # taken (the server's, else the balancer's)
    cpu: float | None  # CPU time over its cores' time (the probe's)
    queue_most: int | None  # most that waited for it in the balancer, over its life
    errors: int | None  # connects that failed and answers that broke off (the balancer's, over its life)
    times_down: int | None  # (the balancer's, over its life)
    down_s: float | None


def parts_of(result: TrialResult) -> tuple[ServerPart, ...]:
    """The servers of a trial that has several, in their order; none of a trial with one."""
    names = result.trial.server_names
    if len(names) < 2 or result.client is None:
        return ()
    rates = {name: _rate(result, name) for name in names}
    known = [rate for rate in rates.values() if rate is not None]
    total = sum(known) if len(known) == len(names) else 0.0
    hosts = {service: host for host, use in result.hosts.items() for service in use.services}
    return tuple(_part(result, name, hosts.get(name, ""), rates[name], total) for name in names)


def imbalance(result: TrialResult) -> float | None:
    """Requests a second of the server that had most, over the mean of all; 1: all had the same. None of one alone.

    None as well where one of them is not known, or all of them had nothing.
    """
    rates = [part.rate_rps for part in parts_of(result)]
    known = [rate for rate in rates if rate is not None]
    if not known or len(known) < len(rates) or not sum(known):
        return None
    return max(known) * len(known) / sum(known)


def _part(result: TrialResult, name: str, host: str, rate_rps: float | None, total: float) -> ServerPart:
    usage, seen = result.usage.get(name), _seen(result.balancer, name)
    return ServerPart(
        name=name,
        host=host,
        rate_rps=rate_rps,
        share=rate_rps / total if rate_rps is not None and total > 0 else None,
        connections_per_s=_connections(result, name),
        cpu=readings.cpu_utilisation(usage) if usage is not None else None,
        queue_most=seen.queue_most if seen is not None else None,
        errors=seen.connect_errors + seen.response_errors if seen is not None else None,
        times_down=seen.times_down if seen is not None else None,
        down_s=seen.down_s if seen is not None else None,
    )


def _rate(result: TrialResult, name: str) -> float | None:
    report = result.servers.get(name)
    counted = readings.server_rate_rps(report) if report is not None else None
    if counted is None:
        counted = _balanced(result.balancer, name, "requests")
    return _answered(result, name) if counted is None else counted


def _answered(result: TrialResult, name: str) -> float | None:
    """What the clients had of it, where they spread over the servers themselves."""
    client, names = result.client, result.trial.server_names
    if client is None or len(client.by_server) != len(names):
        return None
    return client.by_server[names.index(name)].completed_in_window / readings.window_s(client)


def _connections(result: TrialResult, name: str) -> float | None:
    report = result.servers.get(name)
    counted = _accepted(report) if report is not None else None
    return counted if counted is not None else _balanced(result.balancer, name, "connections")


def _accepted(report: ServerReport) -> float | None:
    if len(report.marks) < 2:
        return None
    first, last = report.marks[0], report.marks[-1]
    if first.connections is None or last.connections is None or last.at_ns <= first.at_ns:
        return None
    return (last.connections - first.connections) / ((last.at_ns - first.at_ns) / 1e9)


def _balanced(report: BalancerReport | None, name: str, field: str) -> float | None:
    """A counter of the balancer's marks, as a rate."""
    if report is None or len(report.marks) < 2:
        return None
    first, last = report.marks[0], report.marks[-1]
    before, after = (_counter(mark, name, field) for mark in (first, last))
    if before is None or after is None or last.at_ns <= first.at_ns:
        return None
    return (after - before) / ((last.at_ns - first.at_ns) / 1e9)


def _counter(mark: BalancerMark, name: str, field: str) -> int | None:
    seen = _seen(mark, name)
    if seen is None:
        return None
    return seen.requests if field == "requests" else seen.connections


def _seen(mark: BalancerMark | None, name: str) -> BalancedServer | None:
    return next((server for server in mark.servers if server.name == name), None) if mark is not None else None
