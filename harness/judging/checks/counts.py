"""Whether independent counts of the same requests agree."""

import math

from harness import readings
from harness.judging.evidence import Evidence
from harness.result import Check

LITTLE_TOLERANCE = 0.02
"""Little's law must hold to 2 %, beside what the window's edges cut off (docs/method.md)."""

CHANCE = 4.0
"""Standard errors that the mean of drawn think times may be off."""


def littles_law(evidence: Evidence) -> Check:
    """Requests in flight are throughput times time in system; with think times, so are connections."""
    terms = readings.little(evidence.client, evidence.server)
    if terms is None:
        return Check(name="littles-law", passed=None, detail="no request was answered in the window")
    # What is in flight at an edge lies in the integral with a part of its time only, and in R with all or none.
    edges = terms.in_flight * terms.response_s / readings.window_s(evidence.client)
    kept = abs(terms.in_flight - terms.product) <= LITTLE_TOLERANCE * terms.in_flight + edges
    detail = (
        f"in flight {terms.in_flight:.3f}, throughput x response time {terms.product:.3f} ({terms.counted_by}'s count)"
    )
    think_s = evidence.trial.load.think.s
    if not think_s:
        return Check(name="littles-law", passed=kept, detail=detail)
    cycle_s, served = terms.response_s + think_s, evidence.client.connections_served
    product = terms.throughput_rps * cycle_s
    drawn = (
        CHANCE / math.sqrt(evidence.client.completed_in_window) if evidence.trial.load.thinking != "constant" else 0.0
    )
    allowed = (LITTLE_TOLERANCE + drawn) * served + served * cycle_s / readings.window_s(evidence.client)
    return Check(
        name="littles-law",
        passed=kept and abs(served - product) <= allowed,
        detail=f"{detail}; who thinks is not in flight: {served} connections, throughput x (response + think time) {product:.1f}",
    )


def server_count(evidence: Evidence) -> Check:
    """The server's own count over its whole life lies between the client's answers and these plus those of unknown fate."""
    if evidence.server is None or evidence.server.requests is None:
        return Check(name="server-count", passed=None, detail="this server's counts are not checkable")
    client, counted = evidence.client, evidence.server.requests - evidence.proving_requests
    answered = client.life_ok + evidence.earlier_ok
    unknown = client.life_unknown + evidence.earlier_unknown
    return Check(
        name="server-count",
        passed=answered <= counted <= answered + unknown,
        detail=f"the server counted {counted} requests, the client {answered} answers"
        + (f" and {unknown} of unknown fate" if unknown else ""),
    )
