"""`harness load`: the load client alone, against any HTTP server."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from harness import readings
from harness.deploy import Reached, fetch_record
from harness.errors import SpecError
from harness.events import EventStream
from harness.evidence import Evidence
from harness.histogram import percentile
from harness.hosts.cores import available_cores
from harness.measure import CONNECT_DEADLINE_S, STEP_DEADLINE_S, client_config, client_spec, started
from harness.proof import Expected
from harness.raw import ClientReport, HistogramName
from harness.runtime.base import make_owner
from harness.runtime.process import ProcessRuntime
from harness.spec.experiment import Record, Trial
from harness.spec.explain import as_options
from harness.spec.foreign import RunningServer, certificates
from harness.spec.traffic import Load, Request
from harness.stage import Places
from harness.terminal import Display
from harness.trust import Trust, trust_in
from harness.verdict import judge

_OPTION = re.compile(r"^--(url|path|headers)\b")
_CALLED = {"url": "URL", "path": "URL", "headers": "--header"}  # the key of a spec: what it is called here
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99_9": 99.9}


def trial_of(
    url: str, *, method: str, body: str, headers: Sequence[str], ca: str | None, insecure: bool, **load: object
) -> Trial:
    """The load that the command line's words ask for.

    Raises:
        SpecError: a word is wrong; every problem, a line each.
    """
    problems: list[str] = []
    origin, path = _apart(url)
    asked: dict[str, tuple[type[Record], dict[str, object]]] = {
        "load": (Load, {"kind": "open" if load["rate"] else "closed", **load}),
        "request": (Request, {"method": method, "path": path, "body": body, "headers": _headers(headers, problems)}),
        "model": (RunningServer, {"url": origin, "ca": ca, "insecure": insecure}),
    }
    parts: dict[str, Record] = {}
    for part, (kind, words) in asked.items():
        try:
            parts[part] = kind.model_validate(words)
        except ValidationError as error:
            problems += as_options(error.errors(), kind)
    if problems:
        raise SpecError([_OPTION.sub(lambda found: _CALLED[found[1]], problem) for problem in problems])
    return Trial.model_validate(parts)


def _apart(url: str) -> tuple[str, str]:
    """The server that a URL names, and what it asks for there; a URL that is none stays whole, to be refused."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, "/"
    return f"{parts.scheme}://{parts.netloc}", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(words: Sequence[str], problems: list[str]) -> dict[str, str]:
    """`K: V`, as curl takes them."""
    headers = {}
    for word in words:
        name, colon, value = word.partition(":")
        if not colon:
            problems.append(f"--header {word[:60]!r}: there is no colon in it; write 'NAME: VALUE'")
        headers[name] = value.strip()
    return headers


def _trusted(server: RunningServer) -> Trust | None:
    """Whom to trust.

    Raises:
        SpecError: the file of `--ca` holds no certificates.
    """
    try:
        return trust_in(server, {server.ca: certificates(Path(server.ca))} if server.ca else {})
    except ValueError as error:
        raise SpecError([f"--ca: {error}; name a PEM file"]) from None


def run_load(trial: Trial, places: Places, display: Display) -> ClientReport:
    """Run the client as a local process, on the cores that this process may use.

    Args:
        trial: of `trial_of`.
        places: where things lie.
        display: is shown the progress.

    Raises:
        SpecError: what is to be trusted is no certificate.
        MeasureError: nothing listens, too few open files, or the client broke down.
    """
    owner, load = make_owner("load"), trial.load
    runtime = ProcessRuntime(owner, places.images, places.state / "work")
    server = trial.model
    assert isinstance(server, RunningServer)  # noqa: S101 - `trial_of` made it
    url, anything = f"{server.url}{trial.request.path}", Expected(None, None)
    reached = Reached(url=url, proving_requests=0, expected=anything, trust=_trusted(server))
    spec = client_spec("load", client_config(reached, trial, wait_for_start=False), available_cores())
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
