"""The server's CPU: used up, or not given to it."""

from harness import readings
from harness.judging.culprits.words import cpu_of_both
from harness.judging.evidence import OTHERS, Evidence

STOLEN = 0.05
"""Share of the server's cores that a hypervisor may take before their being full is its doing."""


def throttled(evidence: Evidence) -> str | None:
    """A CPU quota held it back."""
    usage = evidence.usage
    if usage is None or usage.throttled_s is None or not evidence.throttled:
        return None
    return (
        f"the CPU quota held the server back for {usage.throttled_s:.2f} s of {usage.interval_s:.2f} s (its own CPU"
        f" {evidence.server_utilisation:.0%} of its cores)"
    )


def stolen(evidence: Evidence) -> str | None:
    """Its cores were full, and a hypervisor had its share of them."""
    load = evidence.server_cores
    if load is None or not evidence.crowded or load.stolen < STOLEN:
        return None
    return (
        f"a hypervisor took {load.stolen:.0%} of the server's cores (steal); with the {load.busy:.0%} that ran on them they"
        f" were full; {cpu_of_both(evidence)}"
    )


def run_queue(evidence: Evidence) -> str | None:
    """Its cores were full, others had more of them than it could spare, and its tasks waited."""
    load, usage, own = evidence.server_cores, evidence.usage, evidence.server_utilisation
    if load is None or usage is None or own is None or not evidence.crowded:
        return None
    others, delay = max(0.0, load.busy - own), usage.run_delay_share
    if others <= OTHERS:
        return None
    waited = "" if delay is None else f", and {delay * usage.cores:.2f} of its tasks stood ready to run on average"
    return f"others ran on the server's cores for {others:.0%} of their time{waited}; {cpu_of_both(evidence)}"


def saturated(evidence: Evidence) -> str | None:
    """It used up the CPU that it was given, or as much of it as it has threads for."""
    usage = evidence.usage
    if usage is None or not evidence.saturated:
        return None
    if (name := evidence.fullest_server) is not None:
        return (
            f"{name} used {readings.cpu_utilisation(evidence.each[name]):.0%} of its own cores; {cpu_of_both(evidence)}"
        )
    if evidence.usable_cores < usage.cores:
        threads = "1 thread" if evidence.usable_cores == 1 else f"{evidence.usable_cores} threads"
        return (
            f"the server has {threads} for {usage.cores} cores, and used {evidence.server_cpu_share:.2f} of them;"
            f" {cpu_of_both(evidence)}"
        )
    return cpu_of_both(evidence)
