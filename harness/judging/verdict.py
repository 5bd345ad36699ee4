"""Judging a trial: its doubts about itself, and who gave out first. Pure: numbers in, findings out.

The rules are those of docs/method.md ("Checks" and "Who gave out").
"""

from harness import readings
from harness.judging.culprit import CYCLES, SEND_LAG_GATE_US, STALL_SLICES, who_gave_out
from harness.judging.evidence import Evidence
from harness.result import Check, State, Verdict

OTHERS = 0.1
"""Share of the server's cores that others may take before a trial is in doubt; interrupts are among the others."""

LITTLE_TOLERANCE = 0.02
"""Little's law must hold to 2 %, beside what the window's edges cut off (docs/method.md)."""

HALVES = 1.5
"""Ratio of the answers in the window's halves from which it was not steady."""

EXCUSED = frozenset({"served", "errors", "steady", "littles-law", "server-count"})
"""Checks that a fault which was asked for may break."""


def judge(evidence: Evidence) -> tuple[tuple[Check, ...], Verdict, State, str | None]:
    """Checks, verdict, state of the trial, and the reason for a state other than ok."""
    checks = tuple(_excused(check(evidence), evidence) for check in _CHECKS)
    verdict = who_gave_out(evidence)
    doubts = [check.detail for check in checks if check.passed is False]
    who = _measured_with(verdict, evidence)
    if who is not None:
        gave_out = f"the {who} gave out, not the server: {verdict.evidence}"
        return checks, verdict, "invalid", "; ".join([gave_out, *doubts])
    if (missed := evidence.fault_missed) is not None:
        told = f"the window does not show the {evidence.trial.handler.fault} that was asked for: {missed}"
        return checks, verdict, "invalid", "; ".join([told, *doubts])
    if doubts:
        return checks, verdict, "marked", "; ".join(doubts)
    return checks, verdict, "ok", None


def _measured_with(verdict: Verdict, evidence: Evidence) -> str | None:
    """Who gave out, if it is what the server is measured with; such a trial says nothing about the server."""
    if verdict.limited_by in ("client cpu", "client lag"):
        return "client"
    return "backend" if verdict.limited_by == "backend" and evidence.backend_saturated else None


def _excused(check: Check, evidence: Evidence) -> Check:
    """A check that the fault which was asked for may have broken is no doubt about the trial."""
    if evidence.trial.handler.fault == "none" or check.name not in EXCUSED:
        return check
    return Check(name=check.name, passed=None, detail=f"a fault was asked for; {check.detail}")


def _served(evidence: Evidence) -> Check:
    client, asked = evidence.client, evidence.trial.load.connections
    detail = f"{client.connections_served} of {asked} connections were served"
    if client.connections_starved:
        detail += f", {client.connections_starved} starved: they got no answer in the window"
        if evidence.cycles < CYCLES:
            detail += f", which is short: {evidence.cycles:.1f} answers a connection"
    return Check(name="served", passed=client.connections_starved == 0, detail=detail)


def _errors(evidence: Evidence) -> Check:
    failed = sum(evidence.client.errors.values())
    return Check(name="errors", passed=not failed, detail=evidence.failures)


def _quiet(evidence: Evidence) -> Check:
    load, usage = (evidence.cores or {}).get("server"), evidence.usage
    if load is None or usage is None:
        return Check(name="quiet", passed=None, detail="the server's cores were not watched")
    others = max(0.0, load.busy + load.stolen - readings.cpu_utilisation(usage))
    return Check(name="quiet", passed=others <= OTHERS, detail=f"others took {others:.0%} of the server's cores")


def _apart(evidence: Evidence) -> Check:
    loads = evidence.cores or {}
    if len(loads) < 2:
        return Check(name="apart", passed=None, detail="the cores were not watched")
    shared = set(loads["server"].cpus) & set(loads["client"].cpus)
    detail = "server and client shared their CPU" if shared else "server and client had cores of their own"
    if evidence.backend_beside_client:
        detail += "; the backend shared the client's"
    return Check(name="apart", passed=not shared, detail=detail)


def _steady(evidence: Evidence) -> Check:
    """Neither a stall nor a drift, as far as a window can tell; few answers tell nothing."""
    slices = evidence.client.per_100ms
    if len(slices) < 2 or sum(slices) < 20 * len(slices):
        return Check(name="steady", passed=None, detail="too few answers to tell whether the rate was steady")
    longest = max(len(run) for run in "".join("." if count else "0" for count in slices).split("."))
    if longest >= STALL_SLICES:
        return Check(name="steady", passed=False, detail=f"no answer came for {longest / 10:.1f} s of the window")
    half = len(slices) // 2
    first, second = sum(slices[:half]), sum(slices[-half:])
    ratio = max(first, second) / max(1, min(first, second))
    way = "first" if first > second else "second"
    detail = f"the window's {way} half brought {ratio:.2f} times the answers of the other"
    return Check(name="steady", passed=ratio <= HALVES, detail=detail)


def _schedule(evidence: Evidence) -> Check:
    client = evidence.client
    if client.schedule is None:
        return Check(name="schedule", passed=None, detail="a closed loop has no schedule")
    allowed = max(1.0, client.schedule / 1_000)
    return Check(
        name="schedule",
        passed=abs(client.intended - client.schedule) <= allowed,
        detail=f"{client.intended} requests were offered, {client.schedule} are in the schedule",
    )


def _send_lag(evidence: Evidence) -> Check:
    if evidence.trial.load.kind == "closed":
        return Check(name="send-lag", passed=None, detail="a closed loop has no send lag")
    lag_us = evidence.send_lag_p99_us
    if lag_us is None:
        return Check(name="send-lag", passed=None, detail="too few requests for a p99 of the send lag")
    return Check(
        name="send-lag",
        passed=lag_us <= SEND_LAG_GATE_US,
        detail=f"p99 of the send lag is {lag_us:.0f} us, the gate {SEND_LAG_GATE_US:.0f} us",
    )


def _littles_law(evidence: Evidence) -> Check:
    terms = readings.little(evidence.client, evidence.server)
    if terms is None:
        return Check(name="littles-law", passed=None, detail="no request was answered in the window")
    # What is in flight at an edge lies in the integral with a part of its time only, and in R with all or none.
    edges = terms.in_flight * terms.response_s / readings.window_s(evidence.client)
    return Check(
        name="littles-law",
        passed=abs(terms.in_flight - terms.product) <= LITTLE_TOLERANCE * terms.in_flight + edges,
        detail=f"in flight {terms.in_flight:.3f}, throughput x response time {terms.product:.3f} ({terms.counted_by}'s count)",
    )


def _server_count(evidence: Evidence) -> Check:
    if evidence.server is None or evidence.server.requests is None:
        return Check(name="server-count", passed=None, detail="this server's counts are not checkable")
    client, counted = evidence.client, evidence.server.requests - evidence.proving_requests
    most = client.life_ok + client.life_unknown
    return Check(
        name="server-count",
        passed=client.life_ok <= counted <= most,
        detail=f"the server counted {counted} requests, the client {client.life_ok} answers"
        + (f" and {client.life_unknown} of unknown fate" if client.life_unknown else ""),
    )


_CHECKS = (_served, _errors, _quiet, _apart, _steady, _schedule, _send_lag, _littles_law, _server_count)
