"""Plots of a stored run of the gates: one Vega-Lite spec a gate, and its SVG with the spec's digest in it."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

from harness.report.drawing import FILE, PALETTE
from harness.report.scales import log_axis
from harness.report.svg import with_fixed_ids
from tests.bench.gates.record import GateResult, Line

PERCENTS = (50, 90, 99, 99.9, 99.99)
WIDTH, HEIGHT = 560, 280
Spec = dict[str, Any]


def specs_of(gates: Sequence[GateResult]) -> dict[str, Spec]:
    """Name of the gate: spec, of every gate that has something to draw."""
    return {gate.name: _DRAWN[gate.name](gate.lines) for gate in gates if gate.lines and gate.name in _DRAWN}


def draw(spec: Spec) -> str:
    """A spec as an SVG document that tells which spec it was made of: renderers measure text with the fonts they find."""
    return with_fixed_ids(str(vl_convert.vegalite_to_svg(spec))) + f"<!-- {digest(spec)} -->\n"


def digest(spec: Spec) -> str:
    """Of all that a drawing is made from."""
    return "spec " + hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


def _tail(lines: Sequence[Line], y_title: str, unit: float) -> Spec:
    """Percentiles along x, spread out towards 100 as their logarithm of what lies beyond; values along y."""
    points = [
        (line.name, 1 / (1 - x / 100), y / unit) for line in lines for x, y in zip(line.x, line.y, strict=True) if y > 0
    ]
    ticks = [1 / (1 - percent / 100) for percent in PERCENTS]
    labels = " : ".join(
        f"datum.value < {tick * 1.5:.0f} ? '{percent:g} %'" for tick, percent in zip(ticks, PERCENTS, strict=True)
    )
    x_axis = alt.Axis(values=ticks, labelExpr=f"{labels} : ''", title="percentile", grid=True)
    x = alt.X("x:Q", scale=alt.Scale(type="log", domain=[1, ticks[-1]]), axis=x_axis)
    y = _scaled([y for _, _, y in points])
    rows = [{"name": name, "x": x, "y": y} for name, x, y in points]
    chart = _on(rows).mark_line(strokeWidth=2, clip=True)
    drawn = chart.encode(x=x, y=alt.Y("y:Q", scale=y.scale, axis=y.axis(y_title)), color=_colour(lines))
    return _finished(drawn.properties(width=WIDTH, height=HEIGHT))


def _against(lines: Sequence[Line]) -> Spec:
    """Quantile against quantile, a panel for each case: the first line of a panel along x, the second along y."""
    panels = list(dict.fromkeys(line.panel for line in lines))
    drawn = [_pairs(panel, [line for line in lines if line.panel == panel]) for panel in panels]
    return _finished(alt.concat(*drawn, columns=2))


def _pairs(panel: str, lines: Sequence[Line]) -> alt.LayerChart | alt.FacetChart:
    truth, seen = (dict(zip(line.x, line.y, strict=True)) for line in lines)
    rows = [{"x": truth[at] / 1e3, "y": seen[at] / 1e3} for at in truth if at in seen]
    both = _scaled([value for row in rows for value in row.values()])
    x = alt.X("x:Q", scale=both.scale, axis=both.axis("the server's record, ms"))
    y = alt.Y("y:Q", scale=both.scale, axis=both.axis("the client, ms"))
    ends = _on([{"x": end, "y": end} for end in (both.low, both.high)])
    same = ends.mark_line(strokeDash=[4, 4], color=FILE.invalid).encode(x=x, y=y)
    points = _on(rows).mark_point(filled=True, size=30, color=PALETTE[0]).encode(x=x, y=y)
    return alt.layer(same, points).properties(title=panel, width=240, height=200)


def _ratios(lines: Sequence[Line], x_title: str, y_title: str, rule: float) -> Spec:
    """Values side by side with their intervals, and the line that they are held against; what is far off is cut off."""
    most = 2 * rule
    rows = [
        {"name": line.name, "x": x, "y": min(y, most), "low": min(low, most), "high": min(high, most)}
        for line in lines
        for x, y, low, high in zip(line.x, line.y, line.low, line.high, strict=True)
    ]
    x = alt.X("x:O", axis=alt.Axis(title=x_title, labelAngle=0))
    scale, axis = alt.Scale(zero=False), alt.Axis(title=y_title, tickCount=6)
    colour, aside = _colour(lines), alt.XOffset("name:N")
    held = _on([{"y": rule}]).mark_rule(strokeDash=[4, 4], color=FILE.marked).encode(y=alt.Y("y:Q", scale=scale))
    low = alt.Y("low:Q", scale=scale, axis=axis)
    bars = _on(rows).mark_rule(strokeWidth=2).encode(x=x, xOffset=aside, y=low, y2="high:Q", color=colour)
    points = _on(rows).mark_point(filled=True, size=60, opacity=1)
    drawn = points.encode(x=x, xOffset=aside, y=alt.Y("y:Q", scale=scale), color=colour)
    return _finished(alt.layer(held, bars, drawn).properties(width=WIDTH, height=HEIGHT))


def _course(lines: Sequence[Line], x_title: str, y_title: str) -> Spec:
    """What was tried, one after the other, and the truth at 1."""
    rows = [{"name": line.name, "x": x, "y": y} for line in lines for x, y in zip(line.x, line.y, strict=True)]
    both = _scaled([y for line in lines for y in line.y])
    x = alt.X("x:Q", axis=alt.Axis(title=x_title, tickMinStep=1, grid=False))
    y = alt.Y("y:Q", scale=both.scale, axis=both.axis(y_title))
    truth = _on([{"y": 1.0}]).mark_rule(strokeDash=[4, 4], color=FILE.marked).encode(y=y)
    tried = _on(rows).mark_line(point=True, strokeWidth=1.5).encode(x=x, y=y, color=_colour(lines))
    return _finished(alt.layer(truth, tried).properties(width=WIDTH, height=HEIGHT))


@dataclass(frozen=True)
class _Scaled:
    """A scale from the least to the largest of some values: logarithmic where they span a decade."""

    low: float
    high: float
    scale: alt.Scale
    ticks: tuple[float, ...]

    def axis(self, title: str) -> alt.Axis:
        """With few ticks, at numbers that read easily."""
        if self.ticks:
            return alt.Axis(title=title, format=",~r", values=list(self.ticks))
        return alt.Axis(title=title, format=",~r", tickCount=5)


def _scaled(values: Sequence[float]) -> _Scaled:
    low, high = min(values, default=1.0), max(values, default=1.0)
    if high < 10 * low:
        low, high = 0.999 * low, 1.001 * high
        return _Scaled(low, high, alt.Scale(domain=[low, high], nice=False, zero=False), ())
    axis = log_axis("", low, high)
    return _Scaled(*axis.domain, alt.Scale(type="log", domain=list(axis.domain), nice=False), axis.ticks)


def _on(rows: Sequence[Mapping[str, object]]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=list(rows)))


def _colour(lines: Sequence[Line]) -> alt.Color:
    names = list(dict.fromkeys(line.name for line in lines))
    return alt.Color(
        "name:N", scale=alt.Scale(domain=names, range=list(PALETTE[: len(names)])), legend=alt.Legend(title=None)
    )


def _finished(chart: alt.TopLevelMixin) -> Spec:
    spec: Spec = chart.configure(**FILE.config).to_dict()
    return spec


_DRAWN: Mapping[str, Callable[[Sequence[Line]], Spec]] = {
    "send-lag": lambda lines: _tail(lines, "late by, µs", 1),
    "stall": lambda lines: _tail(lines, "response time, ms", 1e3),
    "known-delay": _against,
    "peers": lambda lines: _ratios(lines, "connections", "requests per client CPU-second, ratio", 0.9),
    "capacity": lambda lines: _course(lines, "trial of the search", "offered rate, over the server's capacity"),
    "same": lambda lines: _ratios(lines, "comparison", "ratio of a side to itself", 1.0),
}
