"""What the server is measured with: the load client, and the backend where there is one."""

from harness.judging.beside import backend_busy, backend_saturated
from harness.judging.culprits.words import cpu_of_both
from harness.judging.evidence import BUSY, SEND_LAG_GATE_US, Evidence

NOT_ASKED = 0.001
"""Share of requests that the client could not even ask from which its walls, not the server, decide: that of `schedule`."""


def ports(evidence: Evidence) -> str | None:
    """No port was free towards the server."""
    network = evidence.client_usage.network if evidence.client_usage is not None else evidence.network
    waiting = f"; up to {network.time_wait:,} sockets stood in TIME_WAIT on its host" if network else ""
    return _could_not_ask(evidence, "no-port", f"found no free port on the client (EADDRNOTAVAIL){waiting}")


def files(evidence: Evidence) -> str | None:
    """The client might open no more files."""
    return _could_not_ask(evidence, "no-file", "needed a connection beyond the client's limit of open files (EMFILE)")


def _could_not_ask(evidence: Evidence, kind: str, why: str) -> str | None:
    client = evidence.client
    count = client.errors.get(kind, 0)
    if client.growth is not None and client.growth.failure == kind:
        return f"a new connection {why.replace('needed a connection', 'was')}"
    if count <= NOT_ASKED * client.intended:
        return None
    return f"{count:,} of {client.intended:,} requests {why}"


def backend_cpu(evidence: Evidence) -> str | None:
    """The backend used up its core, or most of the one that it shares with the client."""
    if evidence.saturated or not backend_saturated(evidence):
        return None
    return f"backend CPU {backend_busy(evidence):.0%} of a core; {cpu_of_both(evidence)}"


def cpu(evidence: Evidence) -> str | None:
    """A process of it needed all of a core, whether it got it or others did."""
    if evidence.saturated or evidence.client_busy < BUSY:
        return None
    return cpu_of_both(evidence)


def lag(evidence: Evidence) -> str | None:
    """It could not keep its own schedule."""
    lag_us = evidence.send_lag_us(99)
    if lag_us is None or lag_us <= SEND_LAG_GATE_US:
        return None
    return f"p99 of the send lag is {lag_us:,.0f} us, the gate {SEND_LAG_GATE_US:,.0f} us; {cpu_of_both(evidence)}"
