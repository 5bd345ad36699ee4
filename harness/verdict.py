"""Judging a trial: its doubts about itself, and who gave out first. Pure: numbers in, findings out.

The rules are those of docs/method.md ("Checks" and "Who gave out").
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.histogram import percentile
from harness.result import Check, ClientReport, ServerReport, ServiceUsage, State, Verdict
from harness.spec.experiment import Trial

BUSY = 0.9
"""Share of its cores from which a service counts as saturated: what is left goes to interrupts and scheduling."""

OTHERS = 0.1
"""Share of its cores that others may take before a trial is in doubt; interrupts are among the others."""

LITTLE_TOLERANCE = 0.02
"""Little's law must hold to 2 % (docs/method.md)."""

SEND_LAG_GATE_US = 1_000.0
"""p99 of the send lag from which an open-loop trial says nothing about the server."""


@dataclass(frozen=True)
class Evidence:
    """Everything a judgement rests on."""

    trial: Trial
    concurrency: Literal["unbounded", "workers"]
    client: ClientReport
    server: ServerReport | None
    proving_requests: int  # answered before the load, by the proof that the service is right
    usage: Mapping[Literal["server", "client"], ServiceUsage]

    @property
    def window_s(self) -> float:
        """Length of the window, seconds."""
        return (self.client.window_end_ns - self.client.window_start_ns) / 1e9

    def utilisation(self, service: Literal["server", "client"]) -> float | None:
        """CPU used in the window over CPU given."""
        usage = self.usage.get(service)
        if usage is None:
            return None
        return (usage.cpu_user_s + usage.cpu_system_s) / (usage.cores * self.window_s)

    @property
    def client_utilisation(self) -> float:
        """The client is one thread: its own CPU over one core."""
        return (self.client.cpu_user_s + self.client.cpu_system_s) / self.window_s


def judge(evidence: Evidence) -> tuple[tuple[Check, ...], Verdict, State, str | None]:
    """Checks, verdict, state of the trial, and the reason for a state other than ok."""
    checks = tuple(
        check(evidence) for check in (_served, _errors, _quiet, _schedule, _send_lag, _littles_law, _server_count)
    )
    verdict = next(_suspects(evidence))
    if verdict.limited_by in ("client cpu", "client lag"):
        return checks, verdict, "invalid", f"the client gave out, not the server: {verdict.evidence}"
    failed = [check for check in checks if check.passed is False]
    if failed:
        return checks, verdict, "marked", "; ".join(check.detail for check in failed)
    return checks, verdict, "ok", None


def _served(evidence: Evidence) -> Check:
    client, asked = evidence.client, evidence.trial.load.connections
    detail = f"{client.connections_served} of {asked} connections were served"
    if client.connections_starved:
        detail += f", {client.connections_starved} starved: they got no answer in the window"
    return Check(name="served", passed=client.connections_starved == 0, detail=detail)


def _errors(evidence: Evidence) -> Check:
    client = evidence.client
    failed = sum(client.errors.values())
    if not failed:
        return Check(name="errors", passed=True, detail=f"all {client.intended} requests were answered rightly")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(client.errors.items()) if count)
    return Check(name="errors", passed=False, detail=f"{failed} of {client.intended} requests failed: {kinds}")


def _quiet(evidence: Evidence) -> Check:
    usage = evidence.usage.get("server")
    if usage is None:
        return Check(name="quiet", passed=None, detail="the server's cores were not watched")
    share = usage.others_s / (usage.cores * evidence.window_s)
    return Check(
        name="quiet",
        passed=share <= OTHERS,
        detail=f"others took {share:.0%} of the server's cores",
    )


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
    lag_us = _send_lag_p99_us(evidence)
    if lag_us is None:
        return Check(name="send-lag", passed=None, detail="too few requests for a p99 of the send lag")
    return Check(
        name="send-lag",
        passed=lag_us <= SEND_LAG_GATE_US,
        detail=f"p99 of the send lag is {lag_us:.0f} us, the gate {SEND_LAG_GATE_US:.0f} us",
    )


def _send_lag_p99_us(evidence: Evidence) -> float | None:
    lag_ns = percentile(evidence.client.histograms.get("send_lag", {}), 99)
    return None if lag_ns is None else lag_ns / 1e3


def _littles_law(evidence: Evidence) -> Check:
    """N = X · R (J. D. C. Little, 1961): N integrated by the client, X counted by the server where it counts exactly."""
    client = evidence.client
    if not client.completed_in_window:
        return Check(name="littles-law", passed=None, detail="no request was answered in the window")
    # A starved connection has one request in flight all the time, and adds to no answer: the law is over the served ones.
    in_flight = client.in_flight_integral_s / evidence.window_s - client.connections_starved
    response_s = client.residence_s / client.completed_in_window
    throughput, counted_by = _throughput(evidence)
    product = throughput * response_s
    # One request more or less in flight at an edge of the window is not a contradiction.
    slack = LITTLE_TOLERANCE * in_flight + 1.0 / evidence.window_s * response_s
    return Check(
        name="littles-law",
        passed=abs(in_flight - product) <= slack,
        detail=f"in flight {in_flight:.3f}, throughput x response time {product:.3f} ({counted_by}'s count)",
    )


def _throughput(evidence: Evidence) -> tuple[float, str]:
    if evidence.server is not None and len(evidence.server.marks) >= 2:
        first, last = evidence.server.marks[0], evidence.server.marks[-1]
        return (last.requests - first.requests) / ((last.at_ns - first.at_ns) / 1e9), "the server"
    return evidence.client.completed_in_window / evidence.window_s, "the client"


def _server_count(evidence: Evidence) -> Check:
    if evidence.server is None:
        return Check(name="server-count", passed=None, detail="this server's counts are not checkable")
    client, counted = evidence.client, evidence.server.end.requests - evidence.proving_requests
    most = client.life_ok + client.life_unknown
    return Check(
        name="server-count",
        passed=client.life_ok <= counted <= most,
        detail=f"the server counted {counted} requests, the client {client.life_ok} answers"
        + (f" and {client.life_unknown} of unknown fate" if client.life_unknown else ""),
    )


def _suspects(evidence: Evidence) -> Iterator[Verdict]:
    """Whoever could have given out, in the order in which one hides the next; nobody, at last."""
    client, server_busy = evidence.client, evidence.utilisation("server")
    saturated = server_busy is not None and server_busy >= BUSY
    lag_us = _send_lag_p99_us(evidence) if evidence.trial.load.kind == "open" else None
    throttled_s = evidence.usage["server"].throttled_s if "server" in evidence.usage else None
    if not saturated and evidence.client_utilisation >= BUSY:
        yield Verdict(limited_by="client cpu", evidence=_cpu(evidence))
    if lag_us is not None and lag_us > SEND_LAG_GATE_US:
        yield Verdict(limited_by="client lag", evidence=f"p99 of the send lag is {lag_us:.0f} us")
    if throttled_s and throttled_s > 0.01 * evidence.window_s:
        yield Verdict(limited_by="throttling", evidence=f"the CPU quota held the server back for {throttled_s:.2f} s")
    if client.connections_starved and (evidence.concurrency == "workers" or not saturated):
        waiting = f"{client.connections_starved} connections waited without an answer"
        yield Verdict(limited_by="worker pool", evidence=f"{waiting}; {_cpu(evidence)}")
    if saturated:
        yield Verdict(limited_by="server cpu", evidence=_cpu(evidence))
    if sum(client.errors.values()) > 0.01 * client.intended:
        yield Verdict(limited_by="errors", evidence=_errors(evidence).detail)
    yield Verdict(limited_by="nobody", evidence=_cpu(evidence))


def _cpu(evidence: Evidence) -> str:
    server_busy = evidence.utilisation("server")
    server = "unknown" if server_busy is None else f"{server_busy:.0%}"
    return f"server CPU {server} of its cores, client CPU {evidence.client_utilisation:.0%} of its core"
