"""What is drawn: which charts a run has, their panels, and the values in them; how is in drawing.py."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.analysis.axes import numeric
from harness.analysis.study import Point, Study
from harness.report.scales import Axis, axis_over, log_axis, short
from harness.report.tables import ONLY_WHERE_PRESENT, present
from harness.report.text import between, estimated, level, scale, short_names
from harness.spec.metrics import METRICS

MOST_PANELS = 12
DRAWN_RUNS = ("ok", "marked", "invalid")


@dataclass(frozen=True)
class Lead:
    """A metric worth a chart, and what a reader needs to know to read it."""

    metric: str
    note: str


LEADS = (
    Lead("connections_lost", "Kept connections that the server, or its end, closed unasked. Lower is better."),
    Lead("throughput_rps", "Right answers per second. Higher is better."),
    Lead("response_p50_us", "Half of the requests took no longer."),
    Lead("response_p99_us", "One request in a hundred took longer."),
    Lead("first_byte_p50_us", "From the intended connect to the first byte of the answer; half took no longer."),
    Lead("cpu_us_per_request", "The server's CPU time per answer. Compares models under identical placement only."),
    Lead("memory_bytes", "What the server held while it served."),
    Lead("context_switches_per_request", "Voluntary and involuntary, of the server's tasks."),
)


@dataclass(frozen=True)
class Panel:
    """One small chart: means as points and lines, single runs as dots."""

    title: str
    means: tuple[dict[str, Any], ...]  # x, y, low, high, side, value, interval, runs, verdict, id
    runs: tuple[dict[str, Any], ...]  # x, y, side, state, id
    law: tuple[dict[str, Any], ...] = ()  # x, y, side; low and high of the band around it, linear beside it
    held_out: tuple[dict[str, Any], ...] = ()  # x, y, side
    line: tuple[dict[str, Any], ...] = ()  # x, y, side: what a timeline shows
    acts: tuple[dict[str, Any], ...] = ()  # x, x2, label: what was done in it, from when to when


@dataclass(frozen=True)
class Chart:
    """Panels that share their axes."""

    id: str
    title: str
    note: str
    sides: tuple[str, ...]  # levels of the series factor, in the spec's order: colour and shape go by place
    x: Axis | None  # None: the sides stand along x themselves
    x_title: str
    y: Axis
    panels: tuple[Panel, ...]
    left_out: int = 0  # panels beyond the most that are drawn
    identity: bool = False  # with the line y = x
    fitted: bool = False  # with a law through the points, instead of lines between them
    timeline: bool = False  # lines over time, and what was done meanwhile


def make_charts(study: Study) -> tuple[Chart, ...]:
    """Every chart that the run has values for."""
    drawn = [
        _chart(study, lead)
        for lead in _leads(study)
        if lead.metric not in ONLY_WHERE_PRESENT or present(study, lead.metric)
    ]
    drawn.append(_littles_law(study))
    return tuple(chart for chart in drawn if chart is not None)


def _leads(study: Study) -> list[Lead]:
    """What the question is about comes first."""
    wanted = study.run.plan.experiment.metric
    if wanted is None:
        return list(LEADS)
    first = next((lead for lead in LEADS if lead.metric == wanted), Lead(wanted, METRICS[wanted].definition))
    return [first, *(lead for lead in LEADS if lead.metric != wanted)]


def _chart(study: Study, lead: Lead) -> Chart | None:
    metric = METRICS[lead.metric]
    drawn = [point for point in study.points if _drawable(point, lead.metric)]
    if not drawn:
        return None
    largest = max(_extent(drawn, lead.metric))
    size, unit = scale(largest, metric.unit)
    values = [value / size for value in _extent(drawn, lead.metric)]
    y = axis_over(metric.title if unit == "count" else f"{metric.title} ({unit})", values)
    panels = _panels(study, drawn, lead.metric, size)
    saturated = any(point.saturated for point in drawn) and metric.quantile_of is not None
    follows = saturated and lead.metric.startswith("response_")
    return Chart(
        id=lead.metric,
        title=metric.title + (" (at saturation)" if saturated else ""),
        note=lead.note + (" In a closed loop it follows from connections ÷ throughput." if follows else ""),
        sides=sides_of(study),
        x=_x_axis(study),
        x_title=_x_title(study),
        y=y,
        panels=tuple(_within(panel, y) for panel in panels[:MOST_PANELS]),
        left_out=max(0, len(panels) - MOST_PANELS),
    )


def _within(panel: Panel, axis: Axis) -> Panel:
    """Bars end at the axis' ends: an interval that reaches zero has no place on a logarithmic axis."""
    lowest, highest = axis.domain

    def held(mean: dict[str, Any]) -> dict[str, Any]:
        if mean["low"] is None:
            return mean
        return mean | {"low": max(mean["low"], lowest), "high": min(mean["high"], highest)}

    return replace(panel, means=tuple(held(mean) for mean in panel.means))


def _drawable(point: Point, metric: str) -> bool:
    return point.estimates[metric] is not None or any(True for _ in _run_values(point, metric))


def _run_values(point: Point, metric: str) -> Iterable[tuple[str, str, float]]:
    """Id, state and value of each run that can be drawn; one beyond the timeout stands at the timeout."""
    timeout_us = point.rows[0].planned.trial.load.timeout.us
    for row in point.rows:
        value = row.values[metric]
        if value is not None and row.state in DRAWN_RUNS:
            yield row.planned.id, row.state, timeout_us if math.isinf(value) else value


def _extent(points: Sequence[Point], metric: str) -> list[float]:
    found = [value for point in points for _, _, value in _run_values(point, metric)]
    for point in points:
        estimate = point.estimates[metric]
        if estimate is not None:
            found += [value for value in (estimate.mean, estimate.high) if value is not None]
    return found


def _panels(study: Study, points: Sequence[Point], metric: str, size: float) -> list[Panel]:
    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        groups.setdefault(study.axes.panel_of(point.factors), []).append(point)
    levels = [study.run.plan.factors[name] for name in study.axes.panels]
    ordered = sorted(groups, key=lambda key: [at.index(label) for at, label in zip(levels, key, strict=True)])
    return [_panel(study, key, groups[key], metric, size) for key in ordered]


def _panel(study: Study, key: tuple[str, ...], points: Sequence[Point], metric: str, size: float) -> Panel:
    names = zip(study.axes.panels, key, strict=True)
    return Panel(
        title=", ".join(level(name, label) for name, label in names),
        means=tuple(mean for point in points if (mean := _mean(study, point, metric, size)) is not None),
        runs=tuple(run for point in points for run in _runs(study, point, metric, size)),
    )


def _mean(study: Study, point: Point, metric: str, size: float) -> dict[str, Any] | None:
    found = point.estimates[metric]
    if found is None:
        return None
    known = found.low is not None and found.high is not None
    return {
        "x": study.axes.x_of(point.factors),
        "side": study.axes.series_of(point.factors) or point.rows[0].planned.trial.model_name,
        "y": short(found.mean / size),
        "low": short(max(found.low, 0) / size) if found.low is not None else None,
        "high": short(found.high / size) if found.high is not None else None,
        "value": estimated(metric, found),
        "interval": between(metric, found) if known or found.runs > 1 else "one run",
        "runs": f"{found.runs}" + (f", {point.states['marked']} marked" if point.states["marked"] else ""),
        "verdict": f"{point.limited_by} ({point.limited_runs} of {point.judged_runs})" if point.limited_by else "",
        "id": point.id,
    }


def _runs(study: Study, point: Point, metric: str, size: float) -> Iterable[dict[str, Any]]:
    values = list(_run_values(point, metric))
    for trial, state, value in values:
        if state == "ok" and len(values) == 1:
            continue  # the mean of one run stands there already
        yield {
            "x": study.axes.x_of(point.factors),
            "side": study.axes.series_of(point.factors) or point.rows[0].planned.trial.model_name,
            "y": short(value / size),
            "state": state,
            "id": trial,
        }


def sides_of(study: Study) -> tuple[str, ...]:
    """The levels of the series factor, or the models where there is none."""
    if study.axes.series:
        return study.run.plan.factors[study.axes.series]
    return tuple(dict.fromkeys(row.planned.trial.model_name for row in study.rows))


def _x_title(study: Study) -> str:
    axes = study.axes
    if axes.x is None:
        return axes.series or ""
    unit = {"": "", "us": " (µs)", "bytes": " (bytes)", "/s": " (per second)"}[axes.x_unit]
    return short_names(study.run.plan.factors)[axes.x] + unit


def _x_axis(study: Study) -> Axis | None:
    if study.axes.x is None:
        return None
    levels = [found.value for label in study.run.plan.factors[study.axes.x] if (found := numeric(label))]
    low, high = min(levels), max(levels)
    log = low > 0 and math.log10(high / low) >= 1
    margin = 1.12 if log else 0.04 * (high - low)
    domain = (low / margin, high * margin) if log else (low - margin, high + margin)
    return Axis(_x_title(study), domain, log, tuple(sorted(set(levels))) if len(set(levels)) <= 10 else ())


def _littles_law(study: Study) -> Chart | None:
    """Every finished trial as a point: measured requests in flight against throughput × response time."""
    dots = [dot for point in study.points for dot in _littles_dots(study, point)]
    if not dots:
        return None
    values = [dot[key] for dot in dots for key in ("x", "y")]
    titles = METRICS["throughput_times_response"].title, METRICS["in_flight"].title
    return Chart(
        id="littles_law",
        title="Little's law: requests in flight = throughput × response time",
        note="Every trial is a dot, measured in two ways; off the line by more than 2 % it is marked.",
        sides=sides_of(study),
        x=log_axis(titles[0], min(values), max(values)),
        x_title=titles[0],
        y=log_axis(titles[1], min(values), max(values)),
        panels=(Panel("", (), tuple(dots)),),
        identity=True,
    )


def _littles_dots(study: Study, point: Point) -> Iterable[dict[str, Any]]:
    for row in point.rows:
        product, in_flight = row.values["throughput_times_response"], row.values["in_flight"]
        if product and in_flight and row.state in DRAWN_RUNS:
            side = study.axes.series_of(point.factors) or row.planned.trial.model_name
            yield {"x": short(product), "y": short(in_flight), "side": side, "state": row.state, "id": row.planned.id}
