"""Judging a trial: its doubts about itself, and who gave out first. Pure: numbers in, findings out.

The rules are those of docs/method.md ("Checks" and "Who gave out").
"""

from harness.judging.beside import backend_saturated
from harness.judging.checks import all_checks
from harness.judging.culprits import CLIENT_TOO_SLOW, MEASURED_WITH, who_gave_out
from harness.judging.evidence import Evidence
from harness.result import Check, State, Verdict


def judge(evidence: Evidence) -> tuple[tuple[Check, ...], Verdict, State, str | None]:
    """Checks, verdict, state of the trial, and the reason for a state other than ok."""
    checks, verdict = all_checks(evidence), who_gave_out(evidence)
    doubts = [check.detail for check in checks if check.passed is False]
    who = measured_with(verdict, evidence)
    if who is not None:
        gave_out = f"the {who} gave out, not the server: {verdict.evidence}"
        beside = [check.detail for check in checks if check.passed is False and check.name != "send-lag"]
        more = beside if verdict.limited_by == "client lag" else doubts  # the verdict has said it
        return checks, verdict, "invalid", "; ".join([gave_out, *more])
    if (missed := evidence.fault_missed) is not None:
        told = f"the window does not show the {evidence.fault_asked} that was asked for: {missed}"
        return checks, verdict, "invalid", "; ".join([told, *doubts])
    if doubts:
        return checks, verdict, "marked", "; ".join(doubts)
    return checks, verdict, "ok", None


def measured_with(verdict: Verdict, evidence: Evidence) -> str | None:
    """Who gave out, if it is what the server is measured with; such a trial says nothing about the server."""
    if verdict.limited_by == "backend":
        return "backend" if backend_saturated(evidence) else None
    if evidence.searched and verdict.limited_by in CLIENT_TOO_SLOW:
        return None
    return MEASURED_WITH.get(verdict.limited_by)
