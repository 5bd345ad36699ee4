"""The mechanism ledger: what a request and a connection cost a server, in the things it had to do for them. Pure.

A server's counters are differences between its first and its last mark; what the probe saw lies between its own two
looks. Each becomes a rate over its own interval first; the ratio of two rates is the cost.
"""

from collections.abc import Callable, Sequence
from typing import Final

from harness.raw import ClientReport, MemoryLook, ServerReport
from harness.readings import answered_rps, window_s
from harness.result import ServiceUsage

Costs = dict[str, float | None]

FEWEST_CONNECTIONS: Final = 30
"""A cost per connection is told where at least so many were made in the window,"""
MOST_REQUESTS_EACH: Final = 10.0
"""and each of them brought no more requests than this on average: else it is requests that were paid for."""
FEWEST_HELD: Final = 16
"""Memory per connection is told where the server holds at least so many more than when it was idle,"""
NOISE_BYTES: Final = 32 << 10
"""and has grown by at least this: a server that answered some requests on one connection grows by up to a few pages."""

_COUNTED: Final = ("forks", "threads", "accepts", "wakeups", "accept_eagains", "backend_calls")
_SEEN: Final = ("voluntary_switches", "involuntary_switches", "minor_faults", "major_faults")
PER_REQUEST: Final = ("wakeups", "backend_calls", *_SEEN)
PER_CONNECTION: Final = ("forks", "threads", "accepts", "wakeups", "accept_eagains", *_SEEN)


def costs(usage: ServiceUsage | None, client: ClientReport, server: ServerReport | None, *, renewed: bool) -> Costs:
    """Every cost per request and per connection, by the metric's name; None where it cannot be told.

    Args:
        usage: what the probe saw.
        client: what the load counted.
        server: what the server counted, where it does.
        renewed: each request has a connection of its own.
    """
    rates = {name: counter_per_s(server, name) for name in _COUNTED}
    rates |= {name: None if usage is None else getattr(usage, f"{name}_per_s") for name in _SEEN}
    requests, connections = answered_rps(client, server), connections_per_s(client, server, renewed=renewed)
    per_request = {f"{name}_per_request": _ratio(rates[name], requests) for name in PER_REQUEST}
    return per_request | {f"{name}_per_connection": _ratio(rates[name], connections) for name in PER_CONNECTION}


def counter_per_s(server: ServerReport | None, name: str) -> float | None:
    """How fast a counter rose between a server's first and last mark; None without two marks that have it."""
    if server is None or len(server.marks) < 2:
        return None
    first, last = server.marks[0], server.marks[-1]
    before, after = getattr(first, name), getattr(last, name)
    return None if before is None or after is None else (after - before) / ((last.at_ns - first.at_ns) / 1e9)


def connections_per_s(client: ClientReport, server: ServerReport | None, *, renewed: bool) -> float | None:
    """Connections served per second; None where they were too few to bear a cost, or not counted.

    A server that does not count is taken at the client's word where each right answer came on a connection of its own.
    """
    answered = answered_rps(client, server)
    rate = counter_per_s(server, "connections")
    if rate is None:
        rate = answered if renewed else 0.0
    enough = rate * window_s(client) >= FEWEST_CONNECTIONS and rate * MOST_REQUESTS_EACH >= answered
    return rate if enough else None


def _ratio(cost: float | None, unit: float | None) -> float | None:
    return cost / unit if cost is not None and unit else None


def memory_per_connection_bytes(usage: ServiceUsage) -> float | None:
    """Slope of the server's memory from idle to the plateau, over the connections held there.

    Pages of files are left out: programs and libraries are there once, whatever number of connections, and a
    service's share of them moves with who else on the host has them mapped.
    """
    return _slope(usage, held_at)


def cgroup_bytes_per_connection(usage: ServiceUsage) -> float | None:
    """The same slope as the cgroup accounts for it; None for plain processes."""
    return _slope(usage, lambda look: look.cgroup_bytes)


def held_at(look: MemoryLook) -> int | None:
    """What a service held at a look, bytes: of its own, and of the kernel for its connections; None where it is not told."""
    parts = (look.pss_bytes, look.page_table_bytes, look.socket_queued_bytes)
    if look.pss_file_bytes is None or any(part is None for part in parts):
        return None
    known = sum(part for part in parts if part is not None)
    return known - look.pss_file_bytes + look.kernel_stack_bytes + (look.socket_structure_bytes or 0)


def _slope(usage: ServiceUsage, weigh: Callable[[MemoryLook], int | None]) -> float | None:
    if usage.idle is None or usage.plateau is None:
        return None
    before, after = weigh(usage.idle), weigh(usage.plateau)
    held, held_idle = usage.plateau.connections, usage.idle.connections
    if before is None or after is None or held is None or held_idle is None:
        return None
    if held - held_idle < FEWEST_HELD or after - before < NOISE_BYTES:
        return None
    return (after - before) / (held - held_idle)


def gini(shares: Sequence[int]) -> float | None:
    """How unevenly something is spread: 0, everybody has the same; towards 1, one has all. None for fewer than two.

    C. Gini, 1912; for sorted shares x of n: 2 · Σ i·x_i / (n · Σ x) − (n + 1) / n.
    """
    total, count = sum(shares), len(shares)
    if count < 2 or not total:
        return None
    return (
        2 * sum(place * share for place, share in enumerate(sorted(shares), 1)) / (count * total) - (count + 1) / count
    )


def connection_gini(server: ServerReport | None) -> float | None:
    """The spread of connections over workers that were made ahead, at the last mark."""
    shares = server.marks[-1].connections_by_worker if server is not None and server.marks else None
    return None if shares is None else gini(shares)
