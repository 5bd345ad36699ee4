"""What a load came to, for a person."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from harness.load.plot import plot
from harness.raw import ClientReport
from harness.readings import censored

_TOLD = ("p50", "p90", "p99", "p99_9")  # in one line; --json has them all


def print_report(summary: Mapping[str, Any], report: ClientReport) -> None:
    """The summary, and the histogram of the response times."""
    _print([*_lines(summary), "", *_histogram(summary, report)])


def _lines(summary: Mapping[str, Any]) -> Iterator[str]:
    yield from _capacity(summary)
    at = " (at saturation: a closed loop)" if summary["kind"] == "closed" and not summary["think_s"] else ""
    processes = summary["client_processes"]
    yield f"{summary['url']}: {_loop(summary)}, {summary['connections']} connections, {_lifetime(summary['lifetime'])}"
    yield f"throughput     {summary['throughput_rps']:,.0f} requests/s over {summary['window_s']:g} s, {_errors(summary)}"
    yield f"response time  {in_words(summary['response_us'])}{at}"
    yield f"service time   {in_words(summary['service_us'])}"
    yield f"first byte     {in_words(summary['first_byte_us'])}"
    if summary["kind"] != "closed" or summary["think_s"]:
        yield f"send lag       {in_words(summary['send_lag_us'])}"
    yield f"client CPU     {summary['client_cpu_share']:.0%} of a core" + (
        f", the busiest of {processes} processes" if processes > 1 else ""
    )
    yield from _parts(summary)
    if summary["slo"] is not None:
        said = {True: "met", False: "missed", None: "not told"}[summary["slo_met"]]
        yield f"SLO            {said}: {summary['slo']}"
    yield f"state          {summary['state']}{': ' + summary['reason'] if summary['reason'] else ''}"


def _capacity(summary: Mapping[str, Any]) -> Iterator[str]:
    """The interval that a search found, and how it came to it; what follows is then of its last trial."""
    found = summary["capacity"]
    if found is None:
        return
    for step in found["steps"]:
        said = {True: "met", False: "not met", None: "says nothing"}[step["met"]]
        yield f"  {step['purpose']:<7} {step['rate_rps']:>10,.1f}/s for {step['window_s']:5.1f} s  {said}: {step['why']}"
    low, high = found["low_rps"], found["high_rps"]
    met = f"{low:,.0f}/s meets the SLO" if low else "no rate that was tried meets the SLO"
    missed = f", {high:,.0f}/s does not" if high else ", and nothing above was told from it"
    how = "" if found["ended"] == "found" else f" (the search ended early: {found['ended']})"
    yield f"capacity       {met}{missed}{how}"
    yield ""
    yield "the last trial:"


def _parts(summary: Mapping[str, Any]) -> Iterator[str]:
    """The window part by part, the mix kind by kind, and what became of new connections."""
    for phase in summary["phases"]:
        yield f"  at {phase['rate_per_s'] or 0:>10,.1f}/s  {phase['throughput_rps']:,.0f} requests/s, {_errors(phase)}, response {in_words(phase['response_us'])}"
    for kind in summary["mix"]:
        yield f"  {kind['request']}  {kind['requests']:,} requests, {_errors(kind)}, response {in_words(kind['response_us'])}"
    if (growth := summary["growth"]) is not None:
        failed = growth["first_failed_at"]
        end = (
            f"the first one failed ({growth['failure']}) with {failed:,} open" if failed is not None else "all answered"
        )
        yield f"growth         {growth['begun']:,} new connections, {growth['served']:,} served, {growth['held']:,} held at the end; {end}"


def _loop(summary: Mapping[str, Any]) -> str:
    if summary["kind"] == "closed":
        return "closed loop" + (f", {summary['think_s'] * 1e3:g} ms think time" if summary["think_s"] else "")
    rates = summary["rates_per_s"] or [summary["rate_per_s"]]
    offered = ", ".join(f"{rate:g}" for rate in rates)
    kind = "held connections, a stream" if summary["kind"] == "hold" else "open loop"
    return f"{kind} at {offered}/s ({summary['arrivals']})"


def _lifetime(lifetime: str | int) -> str:
    return lifetime if isinstance(lifetime, str) else f"{lifetime} requests a connection"


def _errors(part: Mapping[str, Any]) -> str:
    failed = ", ".join(f"{count:,} {kind}" for kind, count in sorted(part["errors"].items()) if count)
    return failed or "no errors"


def _histogram(summary: Mapping[str, Any], report: ClientReport) -> Iterator[str]:
    counts = report.histograms.get("response", {})
    marks = {
        label.replace("_", "."): value * 1e3
        for label, value in summary["response_us"].items()
        if isinstance(value, int | float)
    }
    if counts:
        yield f"{'response time':>19}  {'':<40} {'requests':>11}    up to it"
        yield from plot(counts, marks, missing=censored("response", report))


def in_words(percentiles: Mapping[str, float | str | None]) -> str:
    """`p50 120 us, p99 1.2 ms`, without those that are not known."""
    known = [(label, percentiles[label]) for label in _TOLD]
    told = [f"{label.replace('_', '.')} {_shown(value)}" for label, value in known if value is not None]
    return ", ".join(told) or "too few samples"


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f} us" if value < 10_000 else f"{value / 1e3:,.1f} ms"


def _print(lines: list[str]) -> None:
    Console(highlight=False).print(escape("\n".join(lines).rstrip()), soft_wrap=True)
