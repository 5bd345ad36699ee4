"""Several rates within one window: what each of them brought, as a chart and a table."""

from collections.abc import Iterator
from typing import Any

from harness.analysis.parts import PartEstimate
from harness.analysis.statistics import Estimate
from harness.analysis.study import Point, Study
from harness.report.charts import Chart, Panel, sides_of
from harness.report.scales import axis_over, log_axis, short
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table, level_heads, levels
from harness.report.text import NOTHING, amount, between, estimated, level, scale

TITLE = "Rate by rate"
NOTE = (
    "Each part of the window by itself: requests whose intended send time lies in it. Within a run the parts follow one another,"
    " so a rate that the server could not keep up with leaves its backlog to the next."
    " Percentiles elsewhere in this report are of the whole window, all its rates together."
)
_COLUMNS = (
    ("throughput_rps", "throughput_rps", "Throughput"),
    ("errors", "errors", "Errors"),
    ("p50_us", "response_p50_us", "p50"),
    ("p99_us", "response_p99_us", "p99"),
    ("send_lag_p99_us", "send_lag_p99_us", "Send lag, p99"),
)
"""Field of a part, the metric whose unit it has, and its head."""
DEFINITIONS = (
    ("Offered", "Requests intended in this part of the window, over its length."),
    ("Throughput", "Right answers that arrived within it, over its length."),
    ("Errors", "Requests of it without a right answer in time, over those intended."),
    ("p50", "Of the response time, from the intended send time. Printed where at least 10 requests lie beyond it."),
    ("p99", "The same, 99th percentile."),
    ("Send lag, p99", "The client's own delay; beyond 1 ms the part says little about the server."),
)


def rates_section(study: Study) -> Section | None:
    """The table; None where every trial had one rate."""
    rows = tuple(row for point in study.points for row in _rows(study, point))
    heads = [Column(head, numeric=True) for head in ("Offered", *(head for _, _, head in _COLUMNS))]
    table = Table((*level_heads(study), *heads), rows)
    return Section("rates", "Rates", TITLE, (NOTE,), table, DEFINITIONS) if rows else None


def _rows(study: Study, point: Point) -> Iterator[tuple[Cell, ...]]:
    for part in point.parts:
        offered = Cell(amount(part.offered_rps, "requests/s"), "", f"{part.offered_rps:.6g}", numeric=True)
        cells = (_cell(metric, getattr(part, field)) for field, metric, _ in _COLUMNS)
        yield (*levels(study, point), offered, *cells)


def _cell(metric: str, found: Estimate | None) -> Cell:
    if found is None:
        return Cell(NOTHING, key="", numeric=True)
    small = between(metric, found) if found.least != found.most else ""
    return Cell(estimated(metric, found), small, f"{found.mean:.6g}", numeric=True)


def rates_chart(study: Study) -> Chart | None:
    """p99 over the offered rate, or the median where a part is too short for a p99; None without several rates."""
    parts = [part for point in study.points for part in point.parts]
    field, name = ("p99_us", "p99") if all(part.p99_us is not None for part in parts) else ("p50_us", "p50")
    dots = {point.id: list(_dots(study, point, field)) for point in study.points if point.parts}
    return _chart(study, dots, name) if any(dots.values()) else None


def _dots(study: Study, point: Point, field: str) -> Iterator[dict[str, Any]]:
    for part in point.parts:
        found: Estimate | None = getattr(part, field)
        if found is not None and found.mean > 0:
            yield _dot(study, point, part, found)


def _dot(study: Study, point: Point, part: PartEstimate, found: Estimate) -> dict[str, Any]:
    return {
        "x": short(part.offered_rps),
        "side": study.axes.series_of(point.factors) or point.rows[0].planned.trial.model_name,
        "y": found.mean,
        "low": found.low,
        "high": found.high,
        "value": estimated("response_p99_us", found),
        "interval": between("response_p99_us", found) or "one run",
        "runs": f"{found.runs}",
        "verdict": point.limited_by or "",
        "id": point.id,
    }


def _chart(study: Study, dots: dict[str, list[dict[str, Any]]], name: str) -> Chart:
    every = [dot for drawn in dots.values() for dot in drawn]
    size, unit = scale(max(dot["y"] for dot in every), "us")
    rates = [dot["x"] for dot in every]
    y = axis_over(f"Response time, {name} ({unit})", [dot["y"] / size for dot in every])
    lowest, highest = y.domain
    for dot in every:
        known = dot["low"] is not None
        dot["y"] = short(dot["y"] / size)
        dot["low"] = max(short(dot["low"] / size), lowest) if known else None
        dot["high"] = min(short(dot["high"] / size), highest) if known else None
    groups: dict[str, list[dict[str, Any]]] = {}
    for point in study.points:
        groups.setdefault(_panel_title(study, point), []).extend(dots.get(point.id, []))
    return Chart(
        id="response_by_rate",
        title=f"Response time by offered rate, {name}",
        note="Each point is a part of the window under one rate. A line that turns up shows where the server's capacity lies.",
        sides=sides_of(study),
        x=log_axis("Offered rate (requests/s)", min(rates), max(rates)),
        x_title="Offered rate (requests/s)",
        y=y,
        panels=tuple(Panel(title, tuple(means), ()) for title, means in groups.items() if means),
    )


def _panel_title(study: Study, point: Point) -> str:
    """Everything that varies but the side: here the rate stands along x."""
    names = [name for name in study.run.plan.factors if name != study.axes.series]
    return ", ".join(level(name, point.factors[name]) for name in names)
