"""Whether everybody got an answer, and the right one."""

from harness.judging.evidence import CYCLES, Evidence
from harness.result import Check


def served(evidence: Evidence) -> Check:
    """Every connection asked for got an answer in the window; of held ones, that ever got one."""
    if evidence.holds:
        return _held(evidence)
    client, asked = evidence.client, evidence.trial.load.connections
    detail = f"{client.connections_served} of {asked} connections were served"
    if client.connections_starved:
        detail += f", {client.connections_starved} starved: they got no answer in the window"
        if evidence.cycles < CYCLES:
            detail += f", which is short: {evidence.cycles:.1f} answers a connection"
    unasked = 0
    if evidence.trial.load.kind == "closed" and not evidence.trial.load.think.s:
        unasked = asked - client.connections_served - client.connections_starved
    if unasked > 0:
        detail += f", {unasked} carried nothing in the window"
    return Check(name="served", passed=not client.connections_starved and unasked <= 0, detail=detail)


def _held(evidence: Evidence) -> Check:
    """A thin stream does not ask each connection in the window, so an idle one is no starved one."""
    client, asked, never = evidence.client, evidence.trial.load.connections, evidence.never_answered
    detail = f"{asked - never} of {asked} held connections were answered on when they were opened"
    if client.connections_starved:
        detail += f"; {client.connections_starved} of those that were asked in the window got no answer then"
    return Check(name="served", passed=not never and not client.connections_starved, detail=detail)


def errors(evidence: Evidence) -> Check:
    """Every request of the window was answered rightly."""
    failed = sum(evidence.client.errors.values())
    return Check(name="errors", passed=not failed, detail=evidence.failures)


def closes(evidence: Evidence) -> Check:
    """The server closed what it was to close: else the connection waits for its deadline, and so do the requests behind it."""
    unclosed = evidence.client.connections_unclosed
    if unclosed is None:
        return Check(name="closes", passed=None, detail="the client did not tell whether the server closed")
    timeout = evidence.trial.load.timeout
    detail = f"{unclosed} connections that the server was to close stayed open for {timeout}, and took no request in that time"
    return Check(name="closes", passed=not unclosed, detail=detail)
