"""Whether an open load met the SLO that its spec writes down: how many runs did, and by which numbers."""

from harness.analysis.study import Point, Study
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table, level_heads, levels
from harness.slo import Assessment
from harness.spec.traffic import Slo

TITLE = "The SLO: was it met?"
NOTE = (
    "Each run that counts is held against the SLO by itself: the percentiles that it names, the share of requests without a"
    " right answer, and that no backlog grew. What fewer than 10 requests lie beyond cannot be told to be met."
)
SEVERAL = "Where the window has several rates, it is judged as a whole."
DEFINITIONS = (
    ("SLO", "What was asked, all of it; no errors where nothing is said of them."),
    ("Met", "Runs that met it, of those that count."),
    (
        "Closest to failing, or furthest beyond",
        "The run that used up most of what is allowed: why it met the SLO or not.",
    ),
)


def promise_section(study: Study) -> Section | None:
    """The table; None where no open load has an SLO, or no run of one counts."""
    asked = [(point, found) for point in study.points if (found := _assessments(point))]
    if not asked:
        return None
    titles = ("SLO", "Met", "Closest to failing, or furthest beyond")
    heads = (*level_heads(study), *(Column(title) for title in titles))
    rows = tuple((*levels(study, point), *_cells(point, found)) for point, found in asked)
    notes = (NOTE, SEVERAL) if any(point.parts for point, _ in asked) else (NOTE,)
    return Section("slo", "SLO", TITLE, notes, Table(heads, rows), DEFINITIONS)


def _assessments(point: Point) -> list[Assessment]:
    return [row.slo for row in point.counted if row.slo is not None]


def _cells(point: Point, found: list[Assessment]) -> tuple[Cell, ...]:
    worst = max(found, key=lambda one: (one.met is False, one.met is None, one.excess))
    met, untold = (sum(one.met is outcome for one in found) for outcome in (True, None))
    small = f"{untold} cannot be told" if untold else ""
    return (Cell(_asked(point.rows[0].planned.trial.slo)), Cell(f"{met} of {len(found)}", small), Cell(worst.why))


def _asked(slo: Slo) -> str:
    limits = [f"{name.replace('_', '.')} at most {limit}" for name, limit in slo.latencies.items()]
    errors = f"errors at most {slo.errors}" if slo.errors is not None else "no errors"
    return ", ".join([*limits, errors])
