"""`harness load`: the load client alone, against any HTTP server."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from harness import readings
from harness.deploy import fetch_record
from harness.errors import SpecError
from harness.events import EventStream
from harness.histogram import percentile
from harness.hosts.cores import available_cores
from harness.measure import CONNECT_DEADLINE_S, STEP_DEADLINE_S, client_config, client_spec, started
from harness.result import ClientReport, HistogramName
from harness.runtime.base import make_owner
from harness.runtime.process import ProcessRuntime
from harness.spec.experiment import Load, Record, Request, Trial
from harness.spec.explain import as_options
from harness.stage import Places
from harness.terminal import Display
from harness.verdict import Evidence, judge

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}


def trial_of(url: str, *, method: str, body: str, **load: object) -> Trial:
    """The load that the command line's words ask for.

    Raises:
        SpecError: a word is wrong; every problem, a line each.
    """
    problems = _url_problems(url)
    asked = {"kind": "open" if load["rate"] else "closed", **load}
    parts: dict[str, Record] = {}
    for part, kind, words in (("load", Load, asked), ("request", Request, {"method": method, "body": body})):
        try:
            parts[part] = kind.model_validate(words)
        except ValidationError as error:
            problems += as_options(error.errors(), kind)
    if problems:
        raise SpecError(problems)
    return Trial.model_validate(parts)


def _url_problems(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        return [f"URL: {url!r}: {error}"]
    if parts.scheme != "http" or not named:
        return [f"URL: {url!r} is not one that the client can load; write http://host:port/path"]
    return []


def run_load(url: str, trial: Trial, places: Places, display: Display) -> ClientReport:
    """Run the client as a local process, on the cores that this process may use.

    Raises:
        MeasureError: nothing listens, too few open files, or the client broke down.
    """
    owner, load = make_owner("load"), trial.load
    runtime = ProcessRuntime(owner, places.images, places.state / "work")
    spec = client_spec("load", client_config(url, trial, proved=False), available_cores())
    length_s = load.warmup.s + load.window.s + load.timeout.s + 2 * STEP_DEADLINE_S
    runtime.clean()
    try:
        with display.live("load"), started(runtime, [spec], []) as (client,):
            with EventStream(client, length_s, display.tick) as events:
                events.expect("started", CONNECT_DEADLINE_S)
                events.expect("done", length_s)
                client.wait(STEP_DEADLINE_S)
            return fetch_record(client, "client.json", ClientReport)
    finally:
        runtime.clean()


def summarise(url: str, trial: Trial, report: ClientReport) -> dict[str, Any]:
    """What a person or a script wants to know, in plain units, with the doubts that any trial is put to.

    A percentile that the sample cannot carry is None; one that falls among requests without an answer is the text
    `>= timeout`.
    """
    load = trial.load
    checks, verdict, state, reason = judge(Evidence(trial=trial, concurrency=None, client=report))
    return {
        "url": url,
        "kind": load.kind,
        "connections": load.connections,
        "rate_per_s": load.rate.per_s if load.rate else None,
        "lifetime": load.lifetime,
        "window_s": readings.window_s(report),
        "state": state,
        "reason": reason,
        "limited_by": verdict.limited_by,
        "checks": [check.model_dump() for check in checks if check.passed is not None],
        "requests": report.intended,
        "ok": report.ok,
        "errors": {kind: count for kind, count in report.errors.items() if count},
        "throughput_rps": readings.throughput_rps(report),
        "bytes_per_s": report.bytes_received / readings.window_s(report),
        "connections_opened": report.connections_opened,
        "connections_served": report.connections_served,
        "connections_starved": report.connections_starved,
        "response_us": _percentiles(report, "response"),
        "service_us": _percentiles(report, "service"),
        "first_byte_us": _percentiles(report, "first_byte"),
        "connect_us": _percentiles(report, "connect"),
        "send_lag_us": _percentiles(report, "send_lag"),
        "client_cpu_s": report.cpu_user_s + report.cpu_system_s,
        "client_cpu_share": readings.client_utilisation(report),
        "per_100ms": list(report.per_100ms),
    }


def _percentiles(report: ClientReport, name: HistogramName) -> dict[str, float | str | None]:
    counts: Mapping[int, int] = report.histograms.get(name, {})
    censored = readings.censored(name, report)
    values = {label: percentile(counts, percent, censored) for label, percent in PERCENTILES.items()}
    return {label: _microseconds(value) for label, value in values.items()}


def _microseconds(value_ns: float | None) -> float | str | None:
    if value_ns is None:
        return None
    return ">= timeout" if value_ns == float("inf") else round(value_ns / 1e3, 3)


def print_report(summary: Mapping[str, Any]) -> None:
    """The summary for a person."""
    loop = f"open loop at {summary['rate_per_s']:g}/s" if summary["kind"] == "open" else "closed loop"
    at = " (at saturation: a closed loop)" if summary["kind"] == "closed" else ""
    lines = [
        f"{summary['url']}: {loop}, {summary['connections']} connections, {summary['lifetime']}",
        f"throughput     {summary['throughput_rps']:,.0f} requests/s over {summary['window_s']:g} s",
        f"response time  {_in_words(summary['response_us'])}{at}",
        f"service time   {_in_words(summary['service_us'])}",
        f"first byte     {_in_words(summary['first_byte_us'])}",
    ]
    if summary["kind"] == "open":
        lines.append(f"send lag       {_in_words(summary['send_lag_us'])}")
    lines.append(f"client CPU     {summary['client_cpu_share']:.0%} of a core")
    lines.append(f"state          {summary['state']}{': ' + summary['reason'] if summary['reason'] else ''}")
    Console(highlight=False).print(escape("\n".join(lines)), soft_wrap=True)


def _in_words(percentiles: Mapping[str, float | str | None]) -> str:
    """`p50 120 us, p99 1.2 ms`, without those that are not known."""
    known = {label: value for label, value in percentiles.items() if value is not None}
    return (
        ", ".join(f"{label.replace('_', '.')} {_shown(value)}" for label, value in known.items()) or "too few samples"
    )


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f} us" if value < 10_000 else f"{value / 1e3:,.1f} ms"
