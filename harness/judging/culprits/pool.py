"""A fixed number of workers, all of them busy: an idle server with waiting clients is usually this."""

from harness.judging.culprits.words import cpu_of_both
from harness.judging.evidence import CYCLES, Evidence

WAITING = 0.8
"""Mean share of a fixed number of workers that wait for the backend, from which the pool counts as full."""

QUEUED = 0.8
"""Share of the looks at the accept queue that found somebody waiting, from which it was never empty for long."""


def waits_for_backend(evidence: Evidence) -> str | None:
    """All workers wait for the backend, and clients for them: what k workers and a delay d allow, k / d, no CPU decides."""
    workers, busy = evidence.workers, evidence.waiting_for_backend
    if not workers or busy is None or busy < WAITING * workers or evidence.in_flight <= workers:
        return None
    return (
        f"{busy:.1f} of {workers} workers waited for the backend, with {evidence.in_flight:.1f} requests under way;"
        f" {cpu_of_both(evidence)}"
    )


def queue_before_idle_server(evidence: Evidence) -> str | None:
    """Connections wait to be accepted, although the server has CPU left: nobody is free to accept them."""
    network, workers = evidence.network, evidence.workers
    if (kept := _holds_every_worker(evidence)) is not None:
        return kept
    if network is None or evidence.concurrency == "unbounded" or evidence.held_back:
        return None
    if (network.accept_queue_waiting or 0.0) < QUEUED or (workers is not None and evidence.in_flight < workers):
        return None
    said = f"{network.accept_queue or 0:.1f} connections waited to be accepted on average, "
    said += f"with {evidence.in_flight:.1f} requests under way"
    if workers is not None:
        said += f" and {workers} workers"
    return f"{said}, while the server had CPU left; {cpu_of_both(evidence)}"


def _holds_every_worker(evidence: Evidence) -> str | None:
    """Each worker keeps a connection that lies idle, and new ones wait for a worker."""
    growth, workers = evidence.client.growth, evidence.workers
    if growth is None or growth.first_failed_at is None or not workers or growth.held < workers or evidence.saturated:
        return None
    return f"each of {workers} workers had a connection, {growth.held:,} were held in all; {cpu_of_both(evidence)}"


def starved(evidence: Evidence) -> str | None:
    """All workers have connections that never let go of them."""
    count = evidence.unserved
    long_enough = evidence.holds or evidence.cycles >= CYCLES
    if not count or evidence.concurrency == "unbounded" or not long_enough:
        return None
    of = "" if evidence.workers is None else f" for one of {evidence.workers} workers"
    return f"{count} connections waited without an answer{of} while the others were served; {cpu_of_both(evidence)}"
