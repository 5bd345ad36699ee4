"""Who gave out first. Pure: the rules are those of docs/method.md ("Who gave out")."""

from collections.abc import Iterator

from harness import readings
from harness.judging.evidence import BUSY, Evidence
from harness.result import Verdict

SEND_LAG_GATE_US = 1_000.0
"""p99 of the send lag from which an open-loop trial says nothing about the server."""

ERRORS_GIVE_OUT = 0.1
"""Share of failed requests from which errors, not a resource, are what the trial shows."""

CYCLES = 3.0
"""Answers that a connection could have had within the window, at the measured rate, before getting none means starved."""

STALL_SLICES = 5
"""Slices of 100 ms without one answer, one after another, that make a stall."""

WAITING = 0.8
"""Mean share of a fixed number of workers that wait for the backend, from which the pool counts as full."""


def who_gave_out(evidence: Evidence) -> Verdict:
    """The first of those who could have given out; nobody, or nobody knows, at last."""
    found = next(_suspects(evidence))
    if not evidence.backend_beside_client or found.limited_by == "worker pool":
        return found
    reservation = f"{found.evidence}; the backend had no core of its own: no absolute capacity"
    return Verdict(limited_by=found.limited_by, evidence=reservation)


def _suspects(evidence: Evidence) -> Iterator[Verdict]:
    """Whoever could have given out, in the order in which one hides the next."""
    yield from _fault(evidence)
    yield from _failing(evidence, but=("timeout", "unsent"))
    yield from _pool_by_design(evidence)
    yield from _measuring_side(evidence)
    usage = evidence.usage
    if usage is not None and usage.throttled_s and usage.throttled_s > 0.01 * usage.interval_s:
        held = f"the CPU quota held the server back for {usage.throttled_s:.2f} s of {usage.interval_s:.2f} s"
        yield Verdict(limited_by="throttling", evidence=held)
    yield from _pool(evidence)
    if evidence.saturated:
        yield Verdict(limited_by="server cpu", evidence=_cpu(evidence))
    yield from _failing(evidence, but=())
    # Of a server that nobody looked into, an idle client says nothing: it may have used up all that it has.
    yield Verdict(limited_by="unknown" if evidence.usage is None else "nobody", evidence=_cpu(evidence))


def _fault(evidence: Evidence) -> Iterator[Verdict]:
    """A fault that was asked for, and that the server did not survive, or that stopped it altogether."""
    fault, slices = evidence.trial.handler.fault, evidence.client.per_100ms
    if fault == "none":
        return
    if evidence.server is None:
        said = "the server did not live to report"
    elif len(slices) > STALL_SLICES and not any(slices[-STALL_SLICES:]):
        said = "no answer came any more at the end of the window"
    else:
        return
    yield Verdict(limited_by="fault", evidence=f"{fault} was asked for, and {said}; {evidence.failures}")


def _failing(evidence: Evidence, but: tuple[str, ...]) -> Iterator[Verdict]:
    """Requests that failed, and whose doing it was: the backend's, the fault's that was asked for, or nobody's we know."""
    client, server = evidence.client, evidence.server
    failed = sum(count for kind, count in client.errors.items() if kind not in but)
    if failed <= ERRORS_GIVE_OUT * client.intended:
        return
    calls, lost = (server.backend_calls or 0, server.backend_errors or 0) if server is not None else (0, 0)
    if lost > ERRORS_GIVE_OUT * calls and not evidence.saturated:
        said = f"{lost} of the server's {calls} calls to the backend failed; {_cpu(evidence)}"
        yield Verdict(limited_by="backend", evidence=said)
    if evidence.trial.handler.fault != "none":
        yield Verdict(limited_by="fault", evidence=f"{evidence.trial.handler.fault} was asked for; {evidence.failures}")
    yield Verdict(limited_by="errors", evidence=evidence.failures)


def _measuring_side(evidence: Evidence) -> Iterator[Verdict]:
    """What the server is measured with, where that gave out and the server did not."""
    lag_us = evidence.send_lag_p99_us if evidence.trial.load.kind == "open" else None
    if not evidence.saturated and evidence.backend_saturated:
        yield Verdict(
            limited_by="backend", evidence=f"backend CPU {evidence.backend_busy:.0%} of a core; {_cpu(evidence)}"
        )
    if not evidence.saturated and evidence.client_busy >= BUSY:
        yield Verdict(limited_by="client cpu", evidence=_cpu(evidence))
    if lag_us is not None and lag_us > SEND_LAG_GATE_US:
        yield Verdict(limited_by="client lag", evidence=f"p99 of the send lag is {lag_us:.0f} us")


def _pool_by_design(evidence: Evidence) -> Iterator[Verdict]:
    """All workers wait for the backend, and clients for them: what k workers and a delay d allow, k / d, no CPU decides."""
    workers, busy = evidence.workers, evidence.waiting_for_backend
    if workers and busy is not None and busy >= WAITING * workers and evidence.in_flight > workers:
        waiting = (
            f"{busy:.1f} of {workers} workers waited for the backend, with {evidence.in_flight:.1f} requests under way"
        )
        yield Verdict(limited_by="worker pool", evidence=f"{waiting}; {_cpu(evidence)}")


def _pool(evidence: Evidence) -> Iterator[Verdict]:
    """All workers have connections that never let go of them."""
    starved = evidence.client.connections_starved
    if starved and evidence.concurrency != "unbounded" and evidence.cycles >= CYCLES:
        waiting = f"{starved} connections waited without an answer while the others were served"
        yield Verdict(limited_by="worker pool", evidence=f"{waiting}; {_cpu(evidence)}")


def _cpu(evidence: Evidence) -> str:
    used = evidence.server_utilisation
    server = "unknown" if used is None else f"{used:.0%} of its cores"
    own = readings.client_utilisation(evidence.client)
    client = f"client CPU {own:.0%} of its core"
    if evidence.client_busy > own + 0.01:
        client += f", which was {evidence.client_busy:.0%} busy"
    return f"server CPU {server}, {client}"
