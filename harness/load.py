"""`harness load`: the load client alone, against any HTTP server."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from rich.console import Console

from harness.errors import SpecError
from harness.histogram import percentile
from harness.hosts.cores import available_cores
from harness.measure import CONNECT_DEADLINE_S, STEP_DEADLINE_S, EventStream, fetch_report, started
from harness.result import ClientReport, HistogramName
from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.process import ProcessRuntime
from harness.spec.contract import ClientConfig
from harness.spec.experiment import Load, Request
from harness.stage import Places
from harness.terminal import Display

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}
CENSORED = ("timeout", "connect-timeout", "unsent")  # took longer than the deadline: how much longer is unknown


def client_config(url: str, *, method: str, body: str, **load: object) -> ClientConfig:
    """The client's configuration from the command line's words.

    Raises:
        SpecError: a word is wrong; every problem, a line each.
    """
    problems = _url_problems(url)
    try:
        kind = "open" if load["rate"] else "closed"
        checked = Load.model_validate({"kind": kind, **load})
        request = Request.model_validate({"method": method, "body": body})
    except ValidationError as error:
        problems += [f"--{problem['loc'][0]}: {problem['msg']}" for problem in error.errors()]
    if problems:
        raise SpecError(problems)
    return ClientConfig(
        url=url,
        method=request.method,
        headers={},
        body_bytes=request.body.bytes,
        kind=checked.kind,
        connections=checked.connections,
        rate_per_s=checked.rate.per_s if checked.rate else None,
        lifetime=checked.lifetime,
        warmup_s=checked.warmup.s,
        window_s=checked.window.s,
        timeout_s=checked.timeout.s,
        plateau_s=0.0,
        wait_for_start=False,
    )


def _url_problems(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        return [f"URL: {url!r}: {error}"]
    if parts.scheme != "http" or not named:
        return [f"URL: {url!r} is not one that the client can load; write http://host:port/path"]
    return []


def run_load(config: ClientConfig, places: Places, display: Display) -> ClientReport:
    """Run the client as a local process, on the cores that this process may use.

    Raises:
        MeasureError: nothing listens, too few open files, or the client broke down.
    """
    runtime = ProcessRuntime(make_owner("load"), places.images, places.state / "work")
    runtime.clean()
    spec = ServiceSpec(
        name="load",
        role="client",
        image="client",
        config=config.model_dump(mode="json"),
        cores=available_cores(),
        open_files=config.connections + 256,
    )
    try:
        with display.live("load"), started(runtime, [spec]) as (client,), EventStream(client, display.tick) as events:
            events.expect("started", CONNECT_DEADLINE_S)
            events.expect("done", config.warmup_s + config.window_s + config.timeout_s + 2 * STEP_DEADLINE_S)
            return fetch_report(client)
    finally:
        runtime.clean()


def summarise(config: ClientConfig, report: ClientReport) -> dict[str, Any]:
    """What a person or a script wants to know, in plain units.

    A percentile that the sample cannot carry is None; one that falls among requests without an answer is the text
    `>= timeout`.
    """
    window_s = (report.window_end_ns - report.window_start_ns) / 1e9
    censored = sum(report.errors.get(kind, 0) for kind in CENSORED)
    return {
        "url": config.url,
        "kind": config.kind,
        "connections": config.connections,
        "rate_per_s": config.rate_per_s,
        "lifetime": config.lifetime,
        "window_s": window_s,
        "requests": report.intended,
        "ok": report.ok,
        "errors": {kind: count for kind, count in report.errors.items() if count},
        "throughput_rps": report.completed_in_window / window_s,
        "bytes_per_s": report.bytes_received / window_s,
        "connections_opened": report.connections_opened,
        "connections_served": report.connections_served,
        "connections_starved": report.connections_starved,
        "response_us": _percentiles(report, "response", censored),
        "service_us": _percentiles(report, "service", censored),
        "first_byte_us": _percentiles(report, "first_byte", 0),
        "connect_us": _percentiles(report, "connect", 0),
        "send_lag_us": _percentiles(report, "send_lag", 0),
        "client_cpu_s": report.cpu_user_s + report.cpu_system_s,
        "client_cpu_share": (report.cpu_user_s + report.cpu_system_s) / window_s,
        "per_100ms": list(report.per_100ms),
    }


def _percentiles(report: ClientReport, name: HistogramName, censored: int) -> dict[str, float | str | None]:
    counts: Mapping[int, int] = report.histograms.get(name, {})
    values = {label: percentile(counts, percent, censored) for label, percent in PERCENTILES.items()}
    return {label: _microseconds(value) for label, value in values.items()}


def _microseconds(value_ns: float | None) -> float | str | None:
    if value_ns is None:
        return None
    return ">= timeout" if value_ns == float("inf") else round(value_ns / 1e3, 3)


def print_report(summary: Mapping[str, Any]) -> None:
    """The summary for a person."""
    console = Console(highlight=False)
    loop = f"open loop at {summary['rate_per_s']:g}/s" if summary["kind"] == "open" else "closed loop"
    console.print(f"{summary['url']}: {loop}, {summary['connections']} connections, {summary['lifetime']}")
    console.print(
        f"{summary['throughput_rps']:,.0f} requests/s over {summary['window_s']:.1f} s, {summary['ok']:,} answered rightly"
    )
    if summary["errors"]:
        console.print("errors: " + ", ".join(f"{count:,} {kind}" for kind, count in summary["errors"].items()))
    if summary["connections_starved"]:
        console.print(
            f"{summary['connections_starved']} of {summary['connections']} connections were starved: they got no answer"
            " in the window, and are in no percentile"
        )
    at = " (at saturation: a closed loop)" if summary["kind"] == "closed" else ""
    for label, key in (
        ("response time" + at, "response_us"),
        ("service time", "service_us"),
        ("first byte", "first_byte_us"),
    ):
        console.print(f"{label}: " + _in_words(summary[key]))
    console.print(f"the client used {summary['client_cpu_share']:.0%} of a core")
    if summary["client_cpu_share"] > 0.9:
        console.print("its core was saturated: the client may be what limits these numbers")


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
