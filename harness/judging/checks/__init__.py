"""The trial's doubts about itself, in the order in which a reader wants them. Pure; docs/method.md has the table ("Checks")."""

from collections.abc import Callable

from harness.judging.checks import answers, clients, counts, pace, placement, steady
from harness.judging.evidence import Evidence
from harness.result import Check

CHECKS: tuple[Callable[[Evidence], Check], ...] = (
    answers.served,
    answers.errors,
    answers.closes,
    placement.quiet,
    placement.apart,
    steady.steady,
    pace.schedule,
    pace.send_lag,
    counts.littles_law,
    counts.server_count,
    clients.clients_agree,
)

EXCUSED = frozenset({"served", "errors", "closes", "steady", "littles-law", "server-count", "clients-agree"})
"""Checks that a fault which was asked for may break."""


def all_checks(evidence: Evidence) -> tuple[Check, ...]:
    """Every check, made or not; what a fault that was asked for may have broken is no doubt about the trial."""
    return tuple(_excused(check(evidence), evidence) for check in CHECKS)


def _excused(check: Check, evidence: Evidence) -> Check:
    if evidence.fault_asked is None or check.name not in EXCUSED:
        return check
    return Check(name=check.name, passed=None, detail=f"a fault was asked for; {check.detail}")
