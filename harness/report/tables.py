"""The table of points, for the page, for Markdown and for the terminal."""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.analysis.axes import numeric
from harness.analysis.study import Point, Study
from harness.report.text import NOTHING, between, estimated, listed, short_names
from harness.spec.metrics import METRICS

COLUMNS = {
    "time_to_recover_s": "Recovered after",
    "time_to_detect_s": "Noticed after",
    "missed_answers": "Missed answers",
    "connections_lost": "Connections lost",
    "capacity_rps": "Capacity",
    "connections_held": "Connections held",
    "throughput_rps": "Throughput",
    "response_p50_us": "p50",
    "response_p99_us": "p99",
    "first_byte_p50_us": "First byte, p50",
    "cpu_us_per_request": "CPU / request",
    "memory_bytes": "Memory",
    "context_switches_per_request": "Switches / request",
    "errors": "Errors",
    "starved_connections": "Starved",
}
"""The metrics of the table and their heads."""

ONLY_WHERE_PRESENT = ("connections_lost", "first_byte_p50_us", "starved_connections", "errors")
TERMINAL = (
    "time_to_recover_s",
    "missed_answers",
    "connections_lost",
    "throughput_rps",
    "response_p50_us",
    "response_p99_us",
    "cpu_us_per_request",
    "errors",
)


@dataclass(frozen=True)
class Column:
    """A column's head."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """What stands in a cell, and what it is sorted by where that is not its text."""

    text: str
    small: str = ""  # interval or spread
    key: str | None = None
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Heads and rows."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class SummaryTable:
    """What the terminal prints at the end: plain strings."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]  # per column: to be set flush right


def points_table(study: Study) -> Table:
    """A row per point, in the order of the spec's levels."""
    return _table(study, _asked_first(study, COLUMNS))


def terminal_table(study: Study) -> SummaryTable:
    """The main metrics only."""
    table = _table(study, _asked_first(study, TERMINAL))
    return SummaryTable(
        columns=tuple(column.title for column in table.columns),
        rows=tuple(tuple(_plain(cell) for cell in row) for row in table.rows),
        numeric=tuple(column.numeric for column in table.columns),
    )


def _asked_first(study: Study, metrics: Iterable[str]) -> list[str]:
    """What the question is about, and then these, as far as any point has them."""
    wanted = study.run.plan.experiment.metric
    names = dict.fromkeys([*([wanted] if wanted else []), *metrics])
    return [metric for metric in names if present(study, metric)]


def _head(metric: str) -> str:
    return COLUMNS.get(metric, METRICS[metric].title)


def _plain(cell: Cell) -> str:
    return f"{cell.text} [{cell.small}]" if cell.small else cell.text


def present(study: Study, metric: str) -> bool:
    """Columns that would be empty, or hold nothing but zeros where zero is the rule, are left out."""
    found = [point.estimates[metric] for point in study.points]
    return any(estimate is not None and (metric not in ONLY_WHERE_PRESENT or estimate.most > 0) for estimate in found)


def _table(study: Study, metrics: list[str]) -> Table:
    saturated = any(point.saturated for point in study.points)
    heads = [
        Column(_head(metric) + (" at saturation" if saturated and METRICS[metric].quantile_of else ""), numeric=True)
        for metric in metrics
    ]
    columns = [*level_heads(study), Column("Runs"), *heads, Column("Gave out first")]
    rows = tuple(_row(study, point, metrics) for point in study.points)
    return Table(tuple(columns), rows)


def _row(study: Study, point: Point, metrics: list[str]) -> tuple[Cell, ...]:
    cells = [measured(metric, point) for metric in metrics]
    return (*levels(study, point), _runs(point), *cells, _gave_out(point))


def level_heads(study: Study) -> list[Column]:
    """The heads of the columns that say which point a row is."""
    return [Column(name) for name in short_names(study.run.plan.factors).values()] or [Column("point")]


def levels(study: Study, point: Point) -> list[Cell]:
    """The cells below them."""
    return [_level(point.factors[name]) for name in study.run.plan.factors] or [Cell(point.id)]


def _level(label: str) -> Cell:
    found = numeric(label)
    return Cell(label, key=f"{found.value:g}" if found else None)


def _runs(point: Point) -> Cell:
    """How many count; below, which of them are marked, and what became of the others."""
    odd = [f"{n} {state}" for state, n in sorted(point.states.items()) if state not in ("ok", "not needed")]
    return Cell(f"{len(point.counted)}", ", ".join(odd), key=f"{len(point.counted)}")


def measured(metric: str, point: Point) -> Cell:
    """A point's mean, with its interval or spread."""
    found = point.estimates[metric]
    if found is None:
        return Cell(NOTHING, key="", numeric=True)
    varies = found.least != found.most
    small = between(metric, found) if varies else ""
    return Cell(estimated(metric, found), small, f"{found.mean:.6g}", numeric=True)


def _gave_out(point: Point) -> Cell:
    if point.limited_by is None:
        return Cell(NOTHING)
    small = [] if point.limited_runs == point.judged_runs else [f"{point.limited_runs} of {point.judged_runs} runs"]
    if point.also:
        small.append(f"also {listed(list(point.also))}")
    return Cell(point.limited_by, "; ".join(small))


def definitions(table: Table) -> list[tuple[str, str]]:
    """Head and definition of each metric that a table holds."""
    heads = {column.title.removesuffix(" at saturation") for column in table.columns}
    return [(_head(name), metric.definition) for name, metric in METRICS.items() if _head(name) in heads]
