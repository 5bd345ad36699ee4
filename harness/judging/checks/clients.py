"""Whether several load clients saw the same servers: numbers are pooled from all of them only where they did."""

import math
from collections.abc import Sequence

from harness import readings
from harness.histogram import percentile
from harness.judging.evidence import Evidence
from harness.merging import merged_clients
from harness.raw import ClientReport
from harness.result import Check

CHANCE = 4.0
"""Standard errors of a share that two samples of one distribution may be apart: once in 16,000."""

LARGE = 0.1
"""Difference of a percentile, over itself, that matters: as large as a shift within the window (`steady`)."""

OWN_US = {50.0: 100.0, 99.0: 1_000.0}
"""What a client may add by itself: what it is held to at half of its capacity, and the gate of its send lag."""

ERRORS_LARGE = 0.01
"""Difference of two shares of failed requests that matters: it shows in a p99."""


def clients_agree(evidence: Evidence) -> Check:
    """No client's response times, and no client's errors, differ from those of all others together."""
    shares = evidence.shares
    if len(shares) < 2:
        return Check(name="clients-agree", passed=None, detail="there was one load client")
    if evidence.client.growth is not None:
        return Check(name="clients-agree", passed=None, detail="a load that grows is one client's")
    found = []
    for number, share in enumerate(shares, start=1):
        rest = merged_clients([other for other in shares if other is not share])
        found += [f"client {number}: {said}" for said in (*_times(share, rest), *_errors(share, rest))]
    detail = (
        "; ".join(found)
        or f"{len(shares)} load clients saw the same response times (p50, p99) and errors{_seen(shares)}"
    )
    return Check(name="clients-agree", passed=not found, detail=detail)


def _times(share: ClientReport, rest: ClientReport) -> list[str]:
    """Percentiles that lie beyond what chance and the client's own share of the time allow."""
    found = []
    for percent, own_us in OWN_US.items():
        value_us = _percentile_us(share, percent)
        if value_us is None:
            continue
        error = 100 * CHANCE * _standard_error(percent / 100, share, rest)
        low_us, high_us = (_percentile_us(rest, percent + off, beyond=0) for off in (-error, error))
        if low_us is not None and value_us < low_us - max(own_us, LARGE * low_us):
            found.append(
                f"p{percent:g} of the response time is {value_us:,.0f} us, that of the others above {low_us:,.0f} us"
            )
        if high_us is not None and value_us > high_us + max(own_us, LARGE * high_us):
            found.append(
                f"p{percent:g} of the response time is {value_us:,.0f} us, that of the others below {high_us:,.0f} us"
            )
    return found


def _errors(share: ClientReport, rest: ClientReport) -> list[str]:
    if not share.intended or not rest.intended:
        return []
    failed, others = (sum(report.errors.values()) for report in (share, rest))
    part, of_others = failed / share.intended, others / rest.intended
    pooled = (failed + others) / (share.intended + rest.intended)
    if abs(part - of_others) <= max(ERRORS_LARGE, CHANCE * _standard_error(pooled, share, rest)):
        return []
    return [f"{part:.1%} of its requests failed, of the others' {of_others:.1%}"]


def _standard_error(part: float, share: ClientReport, rest: ClientReport) -> float:
    """Of the difference of two shares. What is in flight together may share its fate, and counts as one observation."""
    return math.sqrt(part * (1 - part) * (1 / _independent(share) + 1 / _independent(rest)))


def _independent(report: ClientReport) -> float:
    in_flight = (report.in_flight_integral_s + report.in_flight_starved_integral_s) / readings.window_s(report)
    return max(1.0, report.intended / max(1.0, in_flight))


def _percentile_us(report: ClientReport, percent: float, beyond: int = 10) -> float | None:
    """None beyond the ends of the scale, and where the sample cannot carry it."""
    if not 0 < percent < 100:
        return None
    counts = report.histograms.get("response", {})
    value_ns = percentile(counts, percent, readings.censored("response", report), beyond)
    return None if value_ns is None else value_ns / 1e3


def _seen(shares: Sequence[ClientReport]) -> str:
    """The range of their p99, where all have one."""
    known = [value for share in shares if (value := _percentile_us(share, 99.0)) is not None]
    return f": p99 from {min(known):,.0f} to {max(known):,.0f} us" if len(known) == len(shares) else ""
