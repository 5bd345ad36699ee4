"""What a stored trial says, metric by metric: the code behind harness/spec/metrics.py."""

from collections.abc import Mapping

from harness.histogram import percentiles
from harness.result import ClientReport, HistogramName, ServerReport, ServiceUsage, TrialResult
from harness.spec.metrics import METRICS

Values = dict[str, float | None]

_NO_ANSWER = ("timeout", "connect-timeout", "unsent")
_CENSORED_BY: Mapping[HistogramName, tuple[str, ...]] = {
    "response": _NO_ANSWER,  # every intended request had a response time, if only "longer than the deadline"
    "service": ("timeout",),  # what was never sent has no service time
    "first_byte": _NO_ANSWER,
    "connect": ("connect-timeout",),
    "send_lag": (),
}
_BY_HISTOGRAM: Mapping[HistogramName, list[tuple[str, float]]] = {
    name: [(m.name, m.quantile_of[1]) for m in METRICS.values() if m.quantile_of and m.quantile_of[0] == name]
    for name in _CENSORED_BY
}
"""Histogram: the metrics made from it and their percentages."""


def measure(result: TrialResult) -> Values:
    """Every metric of one trial; None where the trial cannot carry it."""
    values: Values = dict.fromkeys(METRICS)
    values["overhead_s"] = result.overhead_s
    if result.client is None:
        return values
    values |= _of_client(result.client) | _percentiles(result, result.client)
    requests = _requests_answered(result.client, result.server)
    if (usage := result.usage.get("server")) is not None:
        values |= _of_server(usage, requests, _window_s(result.client))
    values["throughput_times_response"] = _littles_product(result.client, result.server)
    return values


def _window_s(client: ClientReport) -> float:
    return (client.window_end_ns - client.window_start_ns) / 1e9


def _ratio(part: float | None, whole: float) -> float | None:
    return part / whole if part is not None and whole > 0 else None


def _of_client(client: ClientReport) -> Values:
    window_s, failed = _window_s(client), sum(client.errors.values())
    cpu_s = client.cpu_user_s + client.cpu_system_s
    return {
        "throughput_rps": _ratio(client.completed_in_window, window_s),
        "offered_rps": _ratio(client.intended, window_s),
        "errors": _ratio(failed, client.intended),
        "error_count": failed,
        "client_cpu_us_per_request": _ratio(cpu_s * 1e6, client.completed_in_window),
        "client_cpu_utilisation": _ratio(cpu_s, window_s),
        "served_connections": client.connections_served,
        "starved_connections": client.connections_starved,
        "in_flight": _ratio(client.in_flight_integral_s, window_s),
    }


def _of_server(usage: ServiceUsage, requests: int, window_s: float) -> Values:
    cpu_s = usage.cpu_user_s + usage.cpu_system_s
    switches = (
        None
        if usage.voluntary_switches is None or usage.involuntary_switches is None
        else usage.voluntary_switches + usage.involuntary_switches
    )
    return {
        "cpu_us_per_request": _ratio(cpu_s * 1e6, requests),
        "memory_bytes": usage.memory_bytes,
        "context_switches_per_request": _ratio(switches, requests),
        "server_cpu_utilisation": _ratio(cpu_s, usage.cores * window_s),
        "processes": usage.processes,
        "threads": usage.threads,
    }


def _percentiles(result: TrialResult, client: ClientReport) -> Values:
    values: Values = {}
    for name, asked in _BY_HISTOGRAM.items():
        censored = sum(client.errors.get(kind, 0) for kind in _censored_by(name, result.trial.load.lifetime))
        found_ns = percentiles(client.histograms.get(name, {}), [percent for _, percent in asked], censored)
        for (metric, _), value_ns in zip(asked, found_ns, strict=True):
            values[metric] = None if value_ns is None else value_ns / 1e3
    return values


def _censored_by(histogram: HistogramName, lifetime: str) -> tuple[str, ...]:
    if histogram == "first_byte" and lifetime == "keep-alive":
        return ("connect-timeout",)  # one first byte per connection, not per request
    return _CENSORED_BY[histogram]


def _requests_answered(client: ClientReport, server: ServerReport | None) -> int:
    """Between the window's edges: the server's own count where it is exact, else the client's."""
    if server is not None and len(server.marks) >= 2:
        return server.marks[-1].requests - server.marks[0].requests
    return client.completed_in_window


def _littles_product(client: ClientReport, server: ServerReport | None) -> float | None:
    if not client.completed_in_window:
        return None
    mean_service_s = client.residence_s / client.completed_in_window
    seconds = _window_s(client)
    if server is not None and len(server.marks) >= 2:
        seconds = (server.marks[-1].at_ns - server.marks[0].at_ns) / 1e9
    rate = _ratio(_requests_answered(client, server), seconds)
    return None if rate is None else rate * mean_service_s
