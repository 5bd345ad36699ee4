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
    # Checks of the servers by requests are in their own count, and not in the client's.
    terms = readings.little(evidence.client, None if _health_checks(evidence) else evidence.server)
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
    """The servers' own count over their whole life lies between the client's answers and these plus those of unknown fate.

    A balancer's health checks by request are counted by the servers alone: there may be as many as it can have made.
    """
    if evidence.server is None or evidence.server.requests is None:
        several = evidence.trial.servers > 1
        whose = "not every server's counts are known" if several else "this server's counts are not checkable"
        return Check(name="server-count", passed=None, detail=whose)
    client, counted = evidence.client, evidence.server.requests - evidence.proving_requests
    answered = client.life_ok + evidence.earlier_ok
    unknown, checks = client.life_unknown + evidence.earlier_unknown, _health_checks(evidence)
    who = "the server" if evidence.trial.servers == 1 else f"the {evidence.trial.servers} servers"
    return Check(
        name="server-count",
        passed=answered <= counted <= answered + unknown + checks,
        detail=f"{who} counted {counted} requests, the client {answered} answers"
        + (f" and {unknown} of unknown fate" if unknown else "")
        + (f"; up to {checks} were the balancer's health checks" if checks else ""),
    )


def _health_checks(evidence: Evidence) -> int:
    """Most requests that the servers answered to a balancer's own checks; those by a connect are none."""
    trial, balancer = evidence.trial, evidence.balancer
    check = trial.balancing.check
    by_request = check == "http" or (check == "auto" and trial.balancer == "haproxy-http")
    return balancer.checks_most * trial.servers if balancer is not None and by_request else 0
