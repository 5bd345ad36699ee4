"""What stands between the clients and several servers: its CPU, and its own limits."""

from harness.judging.beside import balancer_saturated
from harness.judging.culprits.words import cpu_of_both
from harness.judging.evidence import Evidence


def cpu(evidence: Evidence) -> str | None:
    """It used up its cores, or most of the one that it shares with the client; and the servers had some left."""
    if evidence.saturated or not balancer_saturated(evidence):
        return None
    return cpu_of_both(evidence)


def limit(evidence: Evidence) -> str | None:
    """It held as many connections as it may, or kept some waiting for a turn at servers that had CPU left."""
    balancer = evidence.balancer
    if balancer is None or evidence.held_back:
        return None
    # A limit that was met between the edges kept clients waiting as well.
    most = max((mark.connections_most or mark.connections_now for mark in balancer.marks), default=0)
    if most >= balancer.connections_limit:
        return (
            f"the balancer held {most:,} connections at its most, of the {balancer.connections_limit:,} that it may;"
            f" {cpu_of_both(evidence)}"
        )
    waiting, per_server = [mark.queued_now for mark in balancer.marks], evidence.trial.balancing.per_server
    # One that waits at an instant is chance; with some at both edges of the window, the queue was there to stay.
    if per_server is None or len(waiting) < 2 or not all(waiting):
        return None
    return (
        f"{waiting[0]:,} and {waiting[-1]:,} requests waited in the balancer at the window's edges, as each server may have"
        f" {per_server:,} connections (`balancing.per_server`), while the servers had CPU left; {cpu_of_both(evidence)}"
    )
