"""Rates and ratios of one trial, from what client, server and probe reported: one home for each formula. Pure.

Client, server and probe each look at their own instants. An amount is therefore turned into a rate over its own
interval first, and rates are compared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.raw import ClientReport, HistogramName, ServerReport
from harness.result import ClientShare, HostUse, ServiceUsage

LATE = 0.01
"""Share of the window by which a server's marks may miss the window's edges and still count for it."""

_NO_ANSWER = ("timeout", "connect-timeout", "unsent")
CENSORED_BY: Mapping[HistogramName, tuple[str, ...]] = {
    "response": _NO_ANSWER,  # every intended request had a response time, if only "longer than the deadline"
    "service": ("timeout",),  # what was never sent has no service time
    "first_byte": (),  # the client counts what is missing there itself
    "connect": (),
    "send_lag": (),
}
"""Histogram: kinds of error whose requests have no value in it."""


@dataclass(frozen=True)
class Little:
    """The terms of Little's law, N = X · R (J. D. C. Little, 1961), over the served connections."""

    in_flight: float  # N, integrated by the client
    throughput_rps: float  # X
    response_s: float  # R, mean, from the actual send
    counted_by: str  # whose count X is

    @property
    def product(self) -> float:
        """X · R."""
        return self.throughput_rps * self.response_s


def window_s(client: ClientReport) -> float:
    """Length of the window, seconds."""
    return (client.window_end_ns - client.window_start_ns) / 1e9


def throughput_rps(client: ClientReport) -> float:
    """Right answers that arrived in the window, per second."""
    return client.completed_in_window / window_s(client)


def censored(histogram: HistogramName, client: ClientReport) -> int:
    """How many have no value there, and are known only to have taken longer than all that have one."""
    missing = {"first_byte": client.first_byte_missing, "connect": client.connect_missing}
    return missing.get(histogram, 0) + censored_among(client.errors, histogram)


def censored_among(errors: Mapping[str, int], histogram: HistogramName = "response") -> int:
    """How many of these errors, by kind, have no value there: of a window, a part of it, or a kind of request."""
    return sum(errors.get(kind, 0) for kind in CENSORED_BY[histogram])


def client_utilisation(client: ClientReport) -> float:
    """The load client's own CPU over one core, of its busiest process: each is one thread."""
    if not client.processes:
        return (client.cpu_user_s + client.cpu_system_s) / window_s(client)
    return max(process.cpu_user_s + process.cpu_system_s for process in client.processes) / window_s(client)


def server_rate_rps(server: ServerReport) -> float | None:
    """Requests per second between the server's first and last mark; None without two of them that count requests."""
    if len(server.marks) < 2:
        return None
    first, last = server.marks[0], server.marks[-1]
    if first.requests is None or last.requests is None:
        return None
    return (last.requests - first.requests) / ((last.at_ns - first.at_ns) / 1e9)


def backend_calls_per_s(server: ServerReport) -> float | None:
    """Calls to the backend per second between the server's first and last mark; None where they are not counted."""
    if len(server.marks) < 2:
        return None
    first, last = server.marks[0], server.marks[-1]
    if first.backend_calls is None or last.backend_calls is None:
        return None
    return (last.backend_calls - first.backend_calls) / ((last.at_ns - first.at_ns) / 1e9)


def marks_fit(client: ClientReport, server: ServerReport) -> bool:
    """Whether the server's marks lie close enough to the window's edges for its count to be the window's."""
    if len(server.marks) < 2:
        return False
    edges = (client.window_start_ns, client.window_end_ns)
    allowed_ns = LATE * (edges[1] - edges[0])
    marks = (server.marks[0], server.marks[-1])
    return all(abs(mark.at_ns - edge) <= allowed_ns for mark, edge in zip(marks, edges, strict=True))


def little(client: ClientReport, server: ServerReport | None) -> Little | None:
    """The terms of Little's law; None where nothing was answered.

    X is the server's count where it is exact and taken at the window's edges, else the client's.
    """
    if not client.completed_in_window:
        return None
    counted, by = throughput_rps(client), "the client"
    if server is not None and marks_fit(client, server) and (rate := server_rate_rps(server)) is not None:
        counted, by = rate, "the server"
    in_flight = client.in_flight_integral_s / window_s(client)
    return Little(in_flight, counted, client.residence_s / client.completed_in_window, by)


def cpu_utilisation(usage: ServiceUsage) -> float:
    """CPU used over CPU given."""
    return cpu_share(usage) / usage.cores


def cpu_share(usage: ServiceUsage) -> float:
    """CPU-seconds per second."""
    return (usage.cpu_user_s + usage.cpu_system_s) / usage.interval_s


def cpu_us_per_request(usage: ServiceUsage, client: ClientReport, server: ServerReport | None) -> float | None:
    """Server CPU per request, microseconds; None where nothing was answered."""
    rate = answered_rps(client, server)
    return cpu_share(usage) / rate * 1e6 if rate else None


def switches_per_request(usage: ServiceUsage, client: ClientReport, server: ServerReport | None) -> float | None:
    """Voluntary and involuntary context switches per request; None where they cannot be told."""
    rate = answered_rps(client, server)
    if usage.voluntary_switches_per_s is None or usage.involuntary_switches_per_s is None or not rate:
        return None
    return (usage.voluntary_switches_per_s + usage.involuntary_switches_per_s) / rate


def answered_rps(client: ClientReport, server: ServerReport | None) -> float:
    """Requests per second by the server's own count, else (it does not count them, or not exactly) by the client's."""
    counted = None if server is None else server_rate_rps(server)
    return throughput_rps(client) if counted is None else counted


def starts_apart_ns(shares: Sequence[ClientShare], hosts: Mapping[str, HostUse]) -> int | None:
    """How far apart several load clients began at most: of the two farthest apart, both clocks' errors included.

    None of one alone, and where one did not say when it began, or its clock is not known.

    Args:
        shares: of the clients.
        hosts: of the trial, by name.
    """
    began = [
        (share.start_late_ns, hosts[share.host].clock_error_ns)
        for share in shares
        if share.start_late_ns is not None and share.host in hosts
    ]
    if len(began) < max(len(shares), 2):
        return None
    return max(abs(one - other) + error + its for (one, error), (other, its) in combinations(began, 2))
