"""What searches for capacity found: the interval, how it ended, and what it took, a row for each search."""

from harness.analysis.study import Row, Study
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table, level_heads, levels
from harness.report.text import NOTHING, amount
from harness.result import Capacity, SearchStep
from harness.spec.metrics import METRICS

TITLE = "Capacity: the highest rate that meets the SLO"
NOTE = (
    "Each search loads one server at one rate after the other. The capacity lies between the highest rate that long trials"
    " confirmed and the lowest above it that failed: it is an interval, and a rate within it was not decided. Capacities are"
    " compared by their lower ends, and differ only where they do so by more than `load.resolution`."
)
DEFINITIONS = (
    ("Capacity", METRICS["capacity_rps"].definition),
    ("Not met", METRICS["capacity_high_rps"].definition),
    ("Width", "Upper end over lower end, less 1."),
    ("Ended", "`found`: as narrow as `load.resolution` asks. Else the interval is what was known by then."),
    ("Steps", "Trials of the search; below, how many of them were long ones that decide."),
    ("At the lower end", "The last trial there: what was asked, and what came."),
    ("Above it", "Why the lowest rate that failed did."),
)


def capacity_section(study: Study) -> Section | None:
    """The table; None where nothing was searched for."""
    found = [
        (point, row, row.result.capacity)
        for point in study.points
        for row in point.rows
        if row.result is not None and row.result.capacity is not None
    ]
    if not found:
        return None
    numeric = ("Run", "Capacity", "Not met", "Width", "Steps")
    titles = ("Run", "Capacity", "Not met", "Width", "Ended", "Steps", "At the lower end", "Above it")
    heads = [*level_heads(study), *(Column(title, numeric=title in numeric) for title in titles)]
    rows = tuple((*levels(study, point), *_cells(row, capacity)) for point, row, capacity in found)
    return Section("capacity", "Capacity", TITLE, (NOTE,), Table(tuple(heads), rows), DEFINITIONS)


def _cells(row: Row, capacity: Capacity) -> tuple[Cell, ...]:
    low, high, steps = capacity.low_rps, capacity.high_rps, capacity.steps
    width = f"{high / low - 1:.1%}" if low and high else NOTHING
    confirming = sum(step.purpose == "confirm" for step in steps)
    return (
        Cell(f"{row.planned.repeat}", "" if row.state == "ok" else row.state, numeric=True),
        _rate(low),
        _rate(high),
        Cell(width, numeric=True),
        Cell(capacity.ended),
        Cell(f"{len(steps)}", f"{confirming} long", f"{len(steps)}", numeric=True),
        Cell(_last_at(steps, low)),
        Cell(_last_at(steps, high)),
    )


def _rate(rate_rps: float | None) -> Cell:
    if rate_rps is None:
        return Cell(NOTHING, key="", numeric=True)
    return Cell(amount(rate_rps, "requests/s"), key=f"{rate_rps:.6g}", numeric=True)


def _last_at(steps: tuple[SearchStep, ...], rate_rps: float | None) -> str:
    """What the last trial at a rate says of itself."""
    return next((step.why for step in reversed(steps) if step.rate_rps == rate_rps), NOTHING)
