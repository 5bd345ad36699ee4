"""Faults on a schedule: the window slice by slice with the faults marked in it, and how soon all was well again."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from harness.analysis.recovery import SLICE_S, Recovery, recoveries
from harness.analysis.study import Point, Study
from harness.report.charts import MOST_PANELS, Chart, Panel
from harness.report.scales import Axis, short
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table, level_heads, levels
from harness.report.text import NOTHING, count, level, number

TITLE = "Faults, and the way back"
NOTE = (
    "Means over the runs that count, from the moment at which the fault was begun. What the clients saw is told to 100 ms, the"
    " balancer's word to a millisecond. Below a mean, from the least to the most of the runs. The chart above shows the window itself."
)
ANSWERED, FAILED = "answered", "failed"
_TIMES = ("First error", "Balancer", "Recovered")
DEFINITIONS = (
    ("Fault", "What was done, and to which server."),
    ("At", "From the window's start; below, when it was undone."),
    ("First error", "To the end of the 100 ms in which the first request was known to have failed."),
    ("Balancer", "Until the balancer took the server for down."),
    ("Recovered", "To the 100 ms from which on no request failed and answers came at the rate before the first fault, for 1 s and as long as a request may wait."),
    ("Missed", "Right answers short of that rate until then, or to the next fault or the window's end."),
)  # fmt: skip


def timeline_section(study: Study) -> Section | None:
    """The table, a row for each fault of each point; None where nothing was broken on a schedule."""
    rows = tuple(row for point in study.points for row in _rows(study, point))
    if not rows:
        return None
    numeric = ("At", *_TIMES, "Missed")
    heads = (*level_heads(study), Column("Fault"), *(Column(title, numeric=True) for title in numeric))
    return Section("faults", "Faults", TITLE, (NOTE,), Table(heads, rows), DEFINITIONS)


def _rows(study: Study, point: Point) -> Iterator[tuple[Cell, ...]]:
    runs = _runs(point)
    for at in range(min(map(len, runs), default=0)):
        yield (*levels(study, point), *_cells([run[at] for run in runs]))


def _runs(point: Point) -> list[tuple[Recovery, ...]]:
    """Of each run that counts, what came of its faults."""
    return [recoveries(row.result) for row in point.counted if row.result is not None] if point.breaks else []


def _cells(runs: Sequence[Recovery]) -> tuple[Cell, ...]:
    undone = [run.undone_s for run in runs if run.undone_s is not None]
    until = f"until {number(_mean(undone))} s" if len(undone) == len(runs) else "until the end"
    begun = _mean([run.at_s for run in runs])
    return (
        Cell(_name(runs[0])),
        Cell(f"{number(begun)} s", until, f"{begun:.6g}", numeric=True),
        _cell([run.first_error_s for run in runs], "none", digits=2),
        _cell([run.balancer_s for run in runs], NOTHING),
        _cell([run.recover_s for run in runs], "not within the window", digits=2),
        _cell([run.missed for run in runs], NOTHING, unit=""),
    )


def _name(found: Recovery) -> str:
    return f"{found.fault.do}, server {found.fault.server}"


def _cell(values: Sequence[float | None], without: str, *, unit: str = " s", digits: int = 3) -> Cell:
    """The mean of those that have a value; below, how many have none, or from where to where they lie."""
    known = [value for value in values if value is not None]
    if not known:
        return Cell(without, key="", numeric=True)
    lacking = len(values) - len(known)
    small = f"{number(min(known), digits)}–{number(max(known), digits)}" if max(known) > min(known) else ""
    if lacking:
        small = f"{count(lacking, 'run')} without"
    return Cell(f"{number(_mean(known), digits)}{unit}", small, f"{_mean(known):.6g}", numeric=True)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def timeline_chart(study: Study) -> Chart | None:
    """Answers and failures over the window, with the faults in it; None where nothing was broken on a schedule."""
    broken = [point for point in study.points if any(_runs(point))]
    if not broken:
        return None
    drawn = [_panel(study, point) for point in broken[:MOST_PANELS]]
    dots = [dot for panel in drawn for dot in panel.line]
    return Chart(
        id="timeline",
        title="Answers and failures around the faults",
        note=(
            "Each 100 ms of the window, means over the runs. A dashed line: a fault; shaded: until it was undone. A request is"
            " counted as failed when that is known, which may be as late as its timeout."
        ),
        sides=(ANSWERED, FAILED),
        x=Axis("Time in the window (s)", (0.0, short(max(dot["x"] for dot in dots) + SLICE_S / 2)), log=False),
        x_title="Time in the window (s)",
        y=Axis("Requests (requests/s)", (0.0, short(max(dot["y"] for dot in dots) * 1.12) or 1.0), log=False),
        panels=tuple(drawn),
        left_out=len(broken) - len(drawn),
        timeline=True,
    )


def _panel(study: Study, point: Point) -> Panel:
    clients = [row.result.client for row in point.counted if row.result is not None and row.result.client is not None]
    lines = (
        (ANSWERED, [client.per_100ms for client in clients]),
        (FAILED, [client.errors_per_100ms for client in clients]),
    )
    names = study.run.plan.factors
    return Panel(
        title=", ".join(level(name, point.factors[name]) for name in names),
        means=(),
        runs=(),
        line=tuple(dot for side, runs in lines for dot in _line(side, runs)),
        acts=tuple(_acts(_runs(point), max(len(client.per_100ms) for client in clients) * SLICE_S)),
    )


def _line(side: str, runs: Sequence[Sequence[int]]) -> Iterator[dict[str, Any]]:
    for at in range(min(map(len, runs))):
        rate = _mean([run[at] / SLICE_S for run in runs])
        yield {"x": short((at + 0.5) * SLICE_S), "y": short(rate), "side": side}


def _acts(runs: Sequence[Sequence[Recovery]], window_s: float) -> Iterator[dict[str, Any]]:
    for at in range(min(map(len, runs))):
        same = [run[at] for run in runs]
        ends = [min(window_s, one.undone_s) if one.undone_s is not None else window_s for one in same]
        begun = _mean([one.at_s for one in same])
        yield {"x": short(begun), "x2": short(max(begun, _mean(ends))), "label": _name(same[0])}
