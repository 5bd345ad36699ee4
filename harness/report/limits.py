"""Where one server ends: its capacity, and which resource gave out at the rate above it."""

from collections import Counter
from collections.abc import Sequence

from harness.analysis.clusters import servers_of
from harness.analysis.objective import slo_in_words
from harness.analysis.study import Point, Study
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table, level_heads, levels, measured
from harness.report.text import NOTHING, count
from harness.result import Capacity, SearchStep

TITLE = "Where one server ends"
NOTE = (
    "One server by itself: the highest rate at which it kept the SLO, and who gave out in the last step of each search above that"
    " rate. This is the resource to add, or the reason to add a server."
)
DEFINITIONS = (
    ("Capacity", "Mean over the searches of the highest rate confirmed to meet the SLO."),
    ("SLO", "What was asked for."),
    (
        "Gave out above it",
        "In most of the searches, by the evidence of that step; docs/method.md says how it is judged.",
    ),
    ("There", "What was asked, and what came, in that step of the last search."),
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
    above = [step for capacity in searches if (step := _above(capacity)) is not None]
    tally = Counter(step.limited_by for step in above)
    who, runs = tally.most_common(1)[0] if tally else (NOTHING, 0)
    others = "" if runs == len(searches) or not tally else f"{runs} of {count(len(searches), 'search')[:-1]}es"
    return (
        measured("capacity_rps", point),
        Cell(slo_in_words(point.rows[0].planned.trial.slo)),
        Cell(who, others),
        Cell(above[-1].why if above else "no rate above it failed"),
    )


def _above(capacity: Capacity) -> SearchStep | None:
    """The last step at the lowest rate that failed."""
    return next(
        (step for step in reversed(capacity.steps) if step.rate_rps == capacity.high_rps and step.met is False), None
    )
