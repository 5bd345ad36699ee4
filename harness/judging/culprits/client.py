"""What the server is measured with: the load client, and the backend where there is one."""

from harness.histogram import mean
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
    said = f"p99 of the send lag is {lag_us:,.0f} us, the gate {SEND_LAG_GATE_US:,.0f} us; {cpu_of_both(evidence)}"
    return "; ".join(filter(None, (said, _too_few_connections(evidence))))


def _too_few_connections(evidence: Evidence) -> str | None:
    """That requests waited for a free connection, where they did.

    The wait is the server's doing, and no lag. But when it answers again, all that has gathered is due at the same moment: a client
    that sends one after the other is then late by its own work.
    """
    histograms = evidence.client.histograms
    response, service, lag = (mean(histograms.get(name, {})) for name in ("response", "service", "send_lag"))
    if response is None or service is None or lag is None:
        return None
    opening = mean(histograms.get("connect", {})) if evidence.trial.load.lifetime == "per-request" else None
    waited_us = (response - service - lag - (opening or 0.0)) / 1e3
    if waited_us < SEND_LAG_GATE_US:
        return None
    return (
        f"requests waited {waited_us / 1e3:,.0f} ms for a free connection on average, and what has gathered is sent one after"
        f" the other when the server answers again: more `load.connections` than {evidence.trial.load.connections:,}, or a"
        f" shorter `load.timeout`, let each be sent at its time"
    )
