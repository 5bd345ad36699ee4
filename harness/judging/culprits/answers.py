"""What became of the requests: the fault that was asked for, and errors."""

from harness.judging.culprits.words import cpu_of_both
from harness.judging.evidence import STALL_S, Evidence
from harness.spec.experiment import Trial

ENDING = ("crash-handler", "kill-server", "kill-host")
"""Faults of a schedule that may end the server's first process; those of the handler may all keep it from its report."""

ERRORS_GIVE_OUT = 0.1
"""Share of failed requests from which errors, not a resource, are what the trial shows: one user in ten."""

LATE = ("timeout", "unsent", "connect-timeout")
"""Endings for want of time. They are what any overload ends in, so first whatever is overloaded has its turn."""


def fault_stopped_it(evidence: Evidence) -> str | None:
    """A fault that was asked for, and that the server did not survive, or that stopped it altogether."""
    fault, slices = evidence.fault_asked, evidence.client.per_100ms
    stall_slices = round(STALL_S * 10)
    if fault is None:
        return None
    if evidence.server is None and evidence.trial.servers == 1 and _ends_the_server(evidence.trial):
        said = "the server did not live to report"
    elif len(slices) > stall_slices and not any(slices[-stall_slices:]):
        said = "no answer came any more at the end of the window"
    else:
        return None
    return f"{fault} was asked for, and {said}; {evidence.failures}"


def _ends_the_server(trial: Trial) -> bool:
    return trial.handler.fault != "none" or any(fault.do in ENDING for fault in trial.faults)


def backend_fails(evidence: Evidence) -> str | None:
    """Requests that failed as the server's calls to its backend did."""
    server = evidence.server
    if not _many(evidence, but=LATE) or server is None or evidence.saturated:
        return None
    calls, lost = server.backend_calls or 0, server.backend_errors or 0
    if lost <= ERRORS_GIVE_OUT * calls:
        return None
    return f"{lost} of the server's {calls} calls to the backend failed; {cpu_of_both(evidence)}"


def fault_fails(evidence: Evidence) -> str | None:
    """Requests that failed where a fault was asked for."""
    fault = evidence.fault_asked
    return None if fault is None or not _many(evidence, but=LATE) else f"{fault} was asked for; {evidence.failures}"


def fail_fast(evidence: Evidence) -> str | None:
    """Requests that failed otherwise than by being late."""
    return evidence.failures if _many(evidence, but=LATE) else None


def fail(evidence: Evidence) -> str | None:
    """Requests that failed, late ones among them."""
    return evidence.failures if _many(evidence, but=()) else None


def _many(evidence: Evidence, but: tuple[str, ...]) -> bool:
    failed = sum(count for kind, count in evidence.client.errors.items() if kind not in but)
    return failed > ERRORS_GIVE_OUT * evidence.client.intended
