"""Parts of the sentences that rules have in common."""

from harness import readings
from harness.judging.beside import balancer_busy
from harness.judging.evidence import Evidence

CONNECTING = ("connect-timeout", "refused", "reset", "closed")
"""Endings that a connection meets which the server's host would not take."""


def cpu_of_both(evidence: Evidence) -> str:
    """How busy server and client were, and the balancer between them."""
    used = evidence.server_utilisation
    servers = len(evidence.each)
    whose = "its cores" if servers < 2 else f"the cores of {servers} servers, on the host where these were busiest"
    server = "unknown" if used is None else f"{used:.0%} of {whose}"
    own = readings.client_utilisation(evidence.client)
    processes = evidence.client.processes
    said = f"client CPU {own:.0%} of " + ("a core (the busiest of its processes)" if len(processes) > 1 else "its core")
    if evidence.client_busy > own + 0.01:
        waited = f"it stood ready to run for {evidence.client_busy - own:.0%} more"
        known = processes and processes[0].run_delay_s is not None
        said += f", and {waited}" if known else f", which was {evidence.client_busy:.0%} busy"
    if evidence.balancer_usage is not None:
        server += f", balancer CPU {balancer_busy(evidence.balancer_usage):.0%} of its cores"
    return f"server CPU {server}, {said}"


def growth_of(evidence: Evidence) -> str | None:
    """Where new connections ended, in a load that holds them; None where all were answered."""
    growth = evidence.client.growth
    if growth is None or growth.first_failed_at is None:
        return None
    failed = growth.begun - growth.served
    return (
        f"{failed} of {growth.begun} new connections got no answer, the first with {growth.first_failed_at:,} open"
        f" ({growth.failure})"
    )


def kept_waiting(evidence: Evidence) -> str | None:
    """Connections that the server did not take or answer; None where there were none."""
    client, network = evidence.client, evidence.network
    signs = []
    if evidence.unserved:
        signs.append(f"{evidence.unserved} connections waited in vain")
    if client.connect_missing or client.first_byte_missing:
        signs.append(f"{max(client.connect_missing, client.first_byte_missing)} never got a first byte")
    if network is not None and network.accept_queue_most:
        signs.append(f"up to {network.accept_queue_most} connections waited to be accepted")
    if turned := {kind: client.errors[kind] for kind in CONNECTING if client.errors.get(kind)}:
        signs.append("requests ended as " + ", ".join(f"{kind} ({count})" for kind, count in turned.items()))
    if (growth := growth_of(evidence)) is not None:
        signs.append(growth)
    return "; ".join(signs) or None


def namespace_of(evidence: Evidence) -> str:
    """Whose the kernel's counters are: with host networking nobody tells them apart."""
    return " (counters of the whole host)" if evidence.trial.network == "host" else ""


def bytes_in_words(size: float) -> str:
    """A size with its binary unit."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
