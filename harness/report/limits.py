"""Where one server ends: its capacity, and which resource gave out at the rate above it."""

from collections import Counter
from collections.abc import Sequence

from harness.analysis.objective import slo_in_words
from harness.analysis.sides import servers_of
from harness.analysis.study import Point, Study
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table, level_heads, levels, measured
from harness.report.text import NOTHING
from harness.result import Capacity, SearchStep

TITLE = "Where one server ends"
NOTE = (
    "One server by itself: the highest rate at which it kept the SLO, and who gave out in the steps that failed right above it."
    " This is the resource to add, or the reason to add a server."
)
LATE = ("client lag", "client cpu")
DEFINITIONS = (
    ("Capacity", "Mean over the searches of the highest rate confirmed to meet the SLO."),
    ("SLO", "What was asked for."),
    (
        "Gave out above it",
        "In most of the steps there. The load client apart: such a step failed without the client's own delay, too.",
    ),
    ("There", "What was asked, and what came, in the last of these steps."),
)


def limits_section(study: Study) -> Section | None:
    """The table; None unless the capacity of one server was searched for in several ways."""
    points = [point for point in study.points if point.searched and servers_of(point) == 1]
    found = [(point, searches) for point in points if (searches := _searches(point))]
    if len(points) < 2 or not found:
        return None
    heads = (
        *level_heads(study),
        Column("Capacity", numeric=True),
        Column("SLO"),
        Column("Gave out above it"),
        Column("There"),
    )
    rows = tuple((*levels(study, point), *_cells(point, searches)) for point, searches in found)
    return Section("limits", "Limits", TITLE, (NOTE,), Table(heads, rows), DEFINITIONS)


def _searches(point: Point) -> list[Capacity]:
    results = [row.result for row in point.counted if row.result is not None]
    return [result.capacity for result in results if result.capacity is not None]


def _cells(point: Point, searches: Sequence[Capacity]) -> tuple[Cell, ...]:
    above = [step for capacity in searches for step in _above(capacity)]
    return (
        measured("capacity_rps", point),
        Cell(slo_in_words(point.rows[0].planned.trial.slo)),
        _culprit(above),
        Cell(above[-1].why if above else "no rate above it failed"),
    )


def _above(capacity: Capacity) -> list[SearchStep]:
    """The steps at the lowest rate that failed, those that met the SLO by chance apart."""
    return [step for step in capacity.steps if step.rate_rps == capacity.high_rps and step.met is False]


def _culprit(steps: Sequence[SearchStep]) -> Cell:
    """Who gave out in most of them; a late client does not excuse the server of a step that failed without its delay, too."""
    tally = Counter(step.limited_by for step in steps)
    if not tally:
        return Cell(NOTHING)
    others = Counter({name: held for name, held in tally.items() if name not in (*LATE, "nobody", "unknown")})
    who, held = (others or tally).most_common(1)[0]
    rest = [f"{name} in {more}" for name, more in tally.most_common() if name != who]
    return Cell(who, "" if not rest else f"in {held} of {len(steps)} steps; {', '.join(rest)}")
