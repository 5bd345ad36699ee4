"""Judging a trial: its doubts about itself, and who gave out first. Pure: numbers in, findings out.

The rules are those of docs/method.md ("Checks" and "Who gave out").
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from harness import readings
from harness.histogram import percentile
from harness.result import Check, ClientReport, CoreLoad, ServerReport, ServiceUsage, State, Verdict
from harness.spec.experiment import Trial

Side = Literal["server", "client"]

BUSY = 0.9
"""Share of its cores from which a side counts as saturated: what is left goes to interrupts and scheduling."""

OTHERS = 0.1
"""Share of the server's cores that others may take before a trial is in doubt; interrupts are among the others."""

LITTLE_TOLERANCE = 0.02
"""Little's law must hold to 2 %, beside what the window's edges cut off (docs/method.md)."""

SEND_LAG_GATE_US = 1_000.0
"""p99 of the send lag from which an open-loop trial says nothing about the server."""

ERRORS_GIVE_OUT = 0.1
"""Share of failed requests from which errors, not a resource, are what the trial shows."""

CYCLES = 3.0
"""Answers that a connection could have had within the window, at the measured rate, before getting none means starved."""

STALL_SLICES = 5
"""Slices of 100 ms without one answer, one after another, that make a stall."""

HALVES = 1.5
"""Ratio of the answers in the window's halves from which it was not steady."""


@dataclass(frozen=True)
class Evidence:
    """Everything a judgement rests on. What is not known of a server (a foreign one) is None or absent."""

    trial: Trial
    concurrency: Literal["unbounded", "workers"] | None
    client: ClientReport
    server: ServerReport | None = None
    proving_requests: int = 0  # answered before the load, by the proof that the service is right
    usage: ServiceUsage | None = None  # the server's
    cores: Mapping[Side, CoreLoad] | None = None

    @property
    def server_utilisation(self) -> float | None:
        """The server's own CPU over the CPU it was given."""
        return None if self.usage is None else readings.cpu_utilisation(self.usage)

    @property
    def saturated(self) -> bool:
        """Whether the server used all the CPU it was given."""
        return self.server_utilisation is not None and self.server_utilisation >= BUSY

    @property
    def client_busy(self) -> float:
        """How busy the client was: its own core's load by whoever, or its own CPU, whichever is more."""
        own = readings.client_utilisation(self.client)
        load = (self.cores or {}).get("client")
        # Several cores: the client is one thread on any of them, and only its own CPU tells.
        return max(own, load.busy + load.stolen) if load is not None and len(load.cpus) == 1 else own

    @property
    def cycles(self) -> float:
        """Answers per connection that the measured rate gives within the window."""
        return self.client.completed_in_window / self.trial.load.connections

    @property
    def send_lag_p99_us(self) -> float | None:
        """Of an open loop; None where there are too few requests."""
        lag_ns = percentile(self.client.histograms.get("send_lag", {}), 99)
        return None if lag_ns is None else lag_ns / 1e3


def judge(evidence: Evidence) -> tuple[tuple[Check, ...], Verdict, State, str | None]:
    """Checks, verdict, state of the trial, and the reason for a state other than ok."""
    checks = tuple(check(evidence) for check in _CHECKS)
    verdict = next(_suspects(evidence))
    doubts = [check.detail for check in checks if check.passed is False]
    if verdict.limited_by in ("client cpu", "client lag"):
        gave_out = f"the client gave out, not the server: {verdict.evidence}"
        return checks, verdict, "invalid", "; ".join([gave_out, *doubts])
    if doubts:
        return checks, verdict, "marked", "; ".join(doubts)
    return checks, verdict, "ok", None


def _served(evidence: Evidence) -> Check:
    client, asked = evidence.client, evidence.trial.load.connections
    detail = f"{client.connections_served} of {asked} connections were served"
    if client.connections_starved:
        detail += f", {client.connections_starved} starved: they got no answer in the window"
        if evidence.cycles < CYCLES:
            detail += f", which is short: {evidence.cycles:.1f} answers a connection"
    return Check(name="served", passed=client.connections_starved == 0, detail=detail)


def _errors(evidence: Evidence) -> Check:
    client = evidence.client
    failed = sum(client.errors.values())
    if not failed:
        return Check(name="errors", passed=True, detail=f"all {client.intended} requests were answered rightly")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(client.errors.items()) if count)
    return Check(name="errors", passed=False, detail=f"{failed} of {client.intended} requests failed: {kinds}")


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


def _suspects(evidence: Evidence) -> Iterator[Verdict]:
    """Whoever could have given out, in the order in which one hides the next; nobody, at last."""
    client, usage = evidence.client, evidence.usage
    wrong = sum(count for kind, count in client.errors.items() if kind not in ("timeout", "unsent"))
    lag_us = evidence.send_lag_p99_us if evidence.trial.load.kind == "open" else None
    if wrong > ERRORS_GIVE_OUT * client.intended:
        yield Verdict(limited_by="errors", evidence=_errors(evidence).detail)
    if not evidence.saturated and evidence.client_busy >= BUSY:
        yield Verdict(limited_by="client cpu", evidence=_cpu(evidence))
    if lag_us is not None and lag_us > SEND_LAG_GATE_US:
        yield Verdict(limited_by="client lag", evidence=f"p99 of the send lag is {lag_us:.0f} us")
    if usage is not None and usage.throttled_s and usage.throttled_s > 0.01 * usage.interval_s:
        held = f"the CPU quota held the server back for {usage.throttled_s:.2f} s of {usage.interval_s:.2f} s"
        yield Verdict(limited_by="throttling", evidence=held)
    if client.connections_starved and evidence.concurrency != "unbounded" and evidence.cycles >= CYCLES:
        waiting = f"{client.connections_starved} connections waited without an answer while the others were served"
        yield Verdict(limited_by="worker pool", evidence=f"{waiting}; {_cpu(evidence)}")
    if evidence.saturated:
        yield Verdict(limited_by="server cpu", evidence=_cpu(evidence))
    if sum(client.errors.values()) > ERRORS_GIVE_OUT * client.intended:
        yield Verdict(limited_by="errors", evidence=_errors(evidence).detail)
    yield Verdict(limited_by="nobody", evidence=_cpu(evidence))


def _cpu(evidence: Evidence) -> str:
    used = evidence.server_utilisation
    server = "unknown" if used is None else f"{used:.0%} of its cores"
    own = readings.client_utilisation(evidence.client)
    client = f"client CPU {own:.0%} of its core"
    if evidence.client_busy > own + 0.01:
        client += f", which was {evidence.client_busy:.0%} busy"
    return f"server CPU {server}, {client}"
