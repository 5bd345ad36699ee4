"""Whether the client did what the schedule says, and when."""

from harness.judging.evidence import SEND_LAG_GATE_US, Evidence
from harness.raw import ClientReport
from harness.result import Check

OFFERED = 0.001
"""Share of the schedule by which what was offered may differ, beside 1 request: the window's edges."""


def schedule(evidence: Evidence) -> Check:
    """The requests offered are those of the schedule, in every part of it and of every kind."""
    client = evidence.client
    wrong = _parts(client)
    if client.schedule is None:
        detail = "; ".join(wrong) or "a closed loop has no schedule"
        return Check(name="schedule", passed=False if wrong else None, detail=detail)
    kept = abs(client.intended - client.schedule) <= max(1.0, OFFERED * client.schedule)
    detail = f"{client.intended} requests were offered, {client.schedule} are in the schedule"
    # At constant gaps a part holds its length times its rate, but for a request at either edge; at random ones by chance.
    if evidence.trial.load.arrivals == "constant":
        for number, phase in enumerate(client.phases, start=1):
            due = (phase.rate_per_s or 0.0) * (phase.to_ns - phase.from_ns) / 1e9
            if phase.rate_per_s is not None and abs(phase.intended - due) > max(2.0, OFFERED * due):
                wrong.append(f"part {number} offered {phase.intended}, and {due:.0f} are in its schedule")
    return Check(name="schedule", passed=kept and not wrong, detail="; ".join([detail, *wrong]))


def _parts(client: ClientReport) -> list[str]:
    """Parts and kinds that do not add up to the whole."""
    wrong = []
    for what, counts in (
        ("the window's parts", [phase.intended for phase in client.phases]),
        ("the kinds of request", [kind.intended for kind in client.mix]),
    ):
        if counts and sum(counts) != client.intended:
            wrong.append(f"{what} hold {sum(counts)} requests of {client.intended}")
    return wrong


def send_lag(evidence: Evidence) -> Check:
    """The client kept its own schedule."""
    if not evidence.scheduled:
        return Check(name="send-lag", passed=None, detail="a closed loop has no send lag")
    lag_us, tail_us = evidence.send_lag_us(99), evidence.send_lag_us(99.9)
    if lag_us is None:
        return Check(name="send-lag", passed=None, detail="too few requests for a p99 of the send lag")
    tail = "" if tail_us is None else f", p99.9 {tail_us:,.0f} us"
    return Check(
        name="send-lag",
        passed=lag_us <= SEND_LAG_GATE_US,
        detail=f"p99 of the send lag is {lag_us:,.0f} us{tail}; the gate for p99 is {SEND_LAG_GATE_US:,.0f} us",
    )
