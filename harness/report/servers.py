"""The servers one by one, a row for each server of each point: whether all had their part of the work."""

import math
from collections.abc import Iterator, Sequence

from harness.analysis.breakdown import ServerPart, parts_of
from harness.analysis.study import Point, Study
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table, level_heads, levels
from harness.report.text import NOTHING, number

TITLE = "Servers one by one"
NOTE = (
    "Means over the runs that count, in the window, by each server's own word or else the balancer's; what the balancer saw of it"
    " is over its whole life. Of a search for capacity it is the last step, at the rate found."
)
DEFINITIONS = (
    ("Requests", "That it answered, a second."),
    ("Share", "Of what all servers of the trial answered; below, what an equal part would be."),
    ("Connections", "That it took, a second."),
    ("CPU", "Of its cores' time."),
    ("Queue, most", "That waited in the balancer for it at once."),
    ("Errors", "Connects to it that failed, and answers that broke off, by the balancer."),
    ("Down", "How often the balancer took it for dead, and for how long."),
)


def servers_section(study: Study) -> Section | None:
    """The table; None where every trial had one server."""
    rows = tuple(row for point in study.points for row in _rows(study, point))
    if not rows:
        return None
    numeric = ("Requests", "Share", "Connections", "CPU", "Queue, most", "Errors", "Down")
    heads = (*level_heads(study), Column("Server"), *(Column(title, numeric=True) for title in numeric))
    return Section("servers", "Servers", TITLE, (NOTE,), Table(heads, rows), DEFINITIONS)


def _rows(study: Study, point: Point) -> Iterator[tuple[Cell, ...]]:
    trials = [parts for row in point.counted if row.result is not None and (parts := parts_of(row.result))]
    for at in range(min((len(parts) for parts in trials), default=0)):
        yield (*levels(study, point), *_cells([parts[at] for parts in trials], len(trials[0])))


def _cells(runs: Sequence[ServerPart], servers: int) -> tuple[Cell, ...]:
    hosts = sorted({part.host for part in runs} - {""})
    down, times = _mean([part.down_s for part in runs]), _mean([part.times_down for part in runs])
    return (
        Cell(runs[0].name, ", ".join(hosts)),
        _cell(_mean([part.rate_rps for part in runs]), "/s"),
        _cell(_percent([part.share for part in runs]), " %", f"equal: {number(100 / servers)}"),
        _cell(_mean([part.connections_per_s for part in runs]), "/s"),
        _cell(_percent([part.cpu for part in runs]), " %"),
        _cell(_mean([part.queue_most for part in runs])),
        _cell(_mean([part.errors for part in runs])),
        _cell(times, " ×" if times else "", f"{number(down)} s" if down else ""),
    )


def _cell(value: float | None, unit: str = "", small: str = "") -> Cell:
    if value is None:
        return Cell(NOTHING, key="", numeric=True)
    return Cell(f"{number(value)}{unit}", small, f"{value:.6g}", numeric=True)


def _mean(values: Sequence[float | None]) -> float | None:
    """None as soon as one run does not tell."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _percent(shares: Sequence[float | None]) -> float | None:
    mean = _mean(shares)
    return None if mean is None else 100 * mean
