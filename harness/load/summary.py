"""What a load came to, in plain units: one mapping, for the screen and for `--json`."""

from collections.abc import Iterator, Mapping
from typing import Any

from harness import readings
from harness.histogram import Counts, percentile
from harness.judging.evidence import Evidence
from harness.judging.verdict import judge
from harness.load.run import Came
from harness.raw import ClientReport, HistogramName, Phase
from harness.result import Capacity
from harness.slo import assess
from harness.spec.experiment import Trial

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9, "p99_99": 99.99}
_KINDS: tuple[HistogramName, ...] = ("response", "service", "first_byte", "connect", "send_lag")


def summarise(url: str, came: Came) -> dict[str, Any]:
    """What a person or a script wants to know, with the doubts that any trial is put to.

    A percentile that the sample cannot carry is None; one that falls among requests without an answer is the text
    `>= timeout`.
    """
    trial, report, load = came.trial, came.report, came.trial.load
    searched = came.capacity is not None and came.capacity.ended != "client gave out"
    evidence = Evidence(trial=trial, concurrency=None, client=report, searched=searched)
    checks, verdict, state, reason = judge(evidence)
    met, why = None, None
    if trial.slo.is_set:
        assessment = assess(trial.slo, report)
        met, why = (assessment.met, assessment.why) if state != "invalid" else (None, reason)
    return {
        "url": url,
        "kind": load.kind,
        "connections": load.connections,
        "rate_per_s": load.rate.per_s if load.rate else None,
        "rates_per_s": [rate.per_s for rate in load.rates],
        "arrivals": load.arrivals if load.kind != "closed" else None,
        "think_s": load.think.s,
        "lifetime": load.lifetime,
        "window_s": readings.window_s(report),
        "state": state,
        "reason": reason,
        "limited_by": verdict.limited_by,
        "evidence": verdict.evidence,
        "checks": [check.model_dump() for check in checks if check.passed is not None],
        "slo_met": met,
        "slo": why,
        "requests": report.intended,
        "ok": report.ok,
        "errors": {kind: count for kind, count in report.errors.items() if count},
        "throughput_rps": readings.throughput_rps(report),
        "bytes_per_s": report.bytes_received / readings.window_s(report),
        "connections_opened": report.connections_opened,
        "connections_served": report.connections_served,
        "connections_starved": report.connections_starved,
        **{f"{name}_us": _percentiles(report, name) for name in _KINDS},
        "client_cpu_s": report.cpu_user_s + report.cpu_system_s,
        "client_cpu_share": readings.client_utilisation(report),
        "client_processes": max(1, len(report.processes)),
        "phases": [_phase(phase) for phase in report.phases],
        "mix": list(_mix(trial, report)),
        "growth": report.growth.model_dump() if report.growth else None,
        "per_100ms": list(report.per_100ms),
        "capacity": _capacity(came.capacity),
        "histograms": {
            name: {str(at): count for at, count in report.histograms[name].items()} for name in report.histograms
        },
    }


def _capacity(found: Capacity | None) -> dict[str, Any] | None:
    """The interval that a search found, with its steps; a percentile beyond the timeout is text, as everywhere here."""
    if found is None:
        return None
    told = found.model_dump(exclude={"life_ok", "life_unknown"})
    for step in told["steps"]:
        step["percentiles_us"] = {
            name: ">= timeout" if value == float("inf") else value for name, value in step["percentiles_us"].items()
        }
    return told


def _phase(phase: Phase) -> dict[str, Any]:
    """A part of the window, in the same units as the whole."""
    length_s = (phase.to_ns - phase.from_ns) / 1e9
    censored = readings.censored_among(phase.errors)
    return {
        "rate_per_s": phase.rate_per_s,
        "window_s": length_s,
        "requests": phase.intended,
        "ok": phase.ok,
        "errors": dict(phase.errors),
        "throughput_rps": phase.completed / length_s,
        "response_us": _of(phase.histograms.get("response", {}), censored),
        "send_lag_us": _of(phase.histograms.get("send_lag", {}), 0),
    }


def _mix(trial: Trial, report: ClientReport) -> Iterator[dict[str, Any]]:
    for kind, share in zip(trial.request.kinds, report.mix, strict=False):
        censored = readings.censored_among(share.errors)
        yield {
            "request": f"{kind.method} {kind.path}",
            "weight": kind.weight,
            "requests": share.intended,
            "ok": share.ok,
            "errors": dict(share.errors),
            "response_us": _of(share.response, censored),
        }


def _percentiles(report: ClientReport, name: HistogramName) -> dict[str, float | str | None]:
    return _of(report.histograms.get(name, {}), readings.censored(name, report))


def _of(counts: Counts, censored: int) -> dict[str, float | str | None]:
    values: Mapping[str, float | None] = {
        label: percentile(counts, percent, censored) for label, percent in PERCENTILES.items()
    }
    return {label: _microseconds(value) for label, value in values.items()}


def _microseconds(value_ns: float | None) -> float | str | None:
    if value_ns is None:
        return None
    return ">= timeout" if value_ns == float("inf") else round(value_ns / 1e3, 3)
