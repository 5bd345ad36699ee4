"""How a chart is drawn: one Vega-Lite spec per chart, written with Altair, for the page and for SVG files alike.

What people wrote (labels, ids) goes into the data and the scales' domains only, never into an expression.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from harness.report.charts import Chart, Panel
from harness.report.scales import Axis

SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "triangle-right", "triangle-left", "cross")
GLYPHS = ("●", "■", "▲", "◆", "▼", "▶", "◀", "✚")
"""The shapes as text, for legends outside the drawing."""

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#b6478f", "#a87800", "#3a9bd1", "#6b4fbb", "#6e6e6e")
"""Told apart by colour-blind readers too (after Okabe and Ito, 2008), dark enough for white paper."""


FEW_SIDES = 5
"""Labels of more sides than these along x are set at an angle."""

MOST_DOTS_IN_FILE = 400
"""Single runs beyond which an SVG file shows means, intervals and doubted runs only."""


@dataclass(frozen=True)
class Style:
    """Where the drawing goes."""

    colours: Sequence[str]
    marked: str
    invalid: str
    config: Mapping[str, Any]
    legend: bool


def _config(ink: str, grid: str) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "labelColor": ink,
        "titleColor": ink,
        "gridColor": grid,
        "domainColor": grid,
        "tickColor": grid,
    }
    axis |= {"titleFontWeight": "normal", "labelFontSize": 11, "titleFontSize": 12, "labelOverlap": True}
    legend = {"labelColor": ink, "orient": "top", "labelLimit": 300, "symbolOpacity": 1}
    return {
        "background": "transparent",
        "font": "system-ui, sans-serif",
        "view": {"stroke": None},
        "axis": axis,
        "legend": legend,
        "title": {"color": ink, "fontSize": 13, "anchor": "start", "fontWeight": "normal"},
    }


PAGE = Style(
    colours=tuple(f"var(--side-{at})" for at in range(len(PALETTE))),  # the page's style sheet knows light and dark
    marked="var(--marked)",
    invalid="var(--invalid)",
    config=_config("currentColor", "var(--grid)"),
    legend=False,
)

FILE = Style(
    colours=PALETTE,
    marked="#b30000",
    invalid="#8c8c8c",
    config={**_config("#1f2328", "#d8dee4"), "background": "#ffffff", "font": "sans-serif", "aria": False},
    legend=True,
)


def page_spec(chart: Chart) -> dict[str, Any]:
    """The spec of each of a chart's panels; the data (`panel_data`) is put in on the page."""
    spec = _layered(chart, PAGE)
    return spec | {"width": "container", "height": 250, "autosize": {"type": "fit-x", "contains": "padding"}}


def file_spec(chart: Chart) -> dict[str, Any]:
    """All panels of a chart in one drawing, with its legend and its data."""
    together = _layered(chart, FILE)
    layers, alone = together.pop("layer"), len(chart.panels) == 1
    size = {"width": 560 if alone else 380, "height": 280}
    dots = sum(len(panel.runs) for panel in chart.panels) <= MOST_DOTS_IN_FILE or chart.identity
    datasets: dict[str, Any] = {}
    drawn = []
    for at, panel in enumerate(chart.panels):
        data = panel_data(chart, panel) | ({} if dots else {"counted": []})
        datasets |= {f"{at}-{name}": rows for name, rows in data.items()}
        own = [layer | {"data": {"name": f"{at}-{layer['data']['name']}"}} for layer in layers]
        drawn.append(size | {"layer": own, "title": panel.title or chart.title})
    title = {} if alone else {"title": chart.title}
    return together | title | {"concat": drawn, "columns": 2, "datasets": datasets}


def _layered(chart: Chart, style: Style) -> dict[str, Any]:
    spec: dict[str, Any] = alt.layer(*_layers(chart, style)).configure(**style.config).to_dict()
    return spec


def panel_data(chart: Chart, panel: Panel) -> dict[str, list[dict[str, Any]]]:
    """The rows of a panel's layers by the layers' names."""
    if chart.timeline:
        return {"acts": list(panel.acts), "line": list(panel.line)}
    data: dict[str, list[dict[str, Any]]] = {
        "means": list(panel.means),
        "bars": [mean for mean in panel.means if mean["low"] is not None],
    }
    data["counted"] = [run for run in panel.runs if run["state"] != "invalid"]
    for state in ("marked", "invalid"):
        data[state] = [run for run in panel.runs if run["state"] == state]
    if chart.fitted:
        data["law"] = list(panel.law)
        data["band"] = [at for at in panel.law if at["low"] is not None]
        data["held_out"] = list(panel.held_out)
    if chart.identity:
        data["identity"] = [{"x": end, "y": end} for end in chart.y.domain]
    return data


def _timeline(chart: Chart, style: Style) -> list[alt.Chart]:
    """Lines over time; behind them what was done, over the whole height, with its name at the top."""
    acts = alt.Chart(alt.NamedData(name="acts")).encode(x=_x(chart))
    told = [alt.Tooltip("label:N", title="fault"), alt.Tooltip("x:Q", title="at (s)", format=",.4~r")]
    line = alt.Chart(alt.NamedData(name="line")).encode(x=_x(chart), y=_y(chart.y), color=_colour(chart, style))
    return [
        acts.mark_rect(opacity=0.12, color=style.invalid).encode(x2="x2:Q"),
        acts.mark_rule(strokeDash=[4, 4], strokeWidth=1.5, color=style.marked).encode(tooltip=told),
        acts.mark_text(align="left", dx=4, color=style.marked).encode(y=alt.value(6), text="label:N"),
        line.mark_line(strokeWidth=1.5, interpolate="step"),
    ]


def _layers(chart: Chart, style: Style) -> list[alt.Chart]:
    if chart.timeline:
        return _timeline(chart, style)

    def on(name: str) -> alt.Chart:
        return alt.Chart(alt.NamedData(name=name)).encode(x=_x(chart), y=_y(chart.y))

    colour, shape = _colour(chart, style), _shape(chart)
    aside = 0 if chart.identity else 7  # single runs stand beside their mean
    layers = [on("identity").mark_line(strokeDash=[4, 4], color=style.invalid)] if chart.identity else []
    if chart.fitted:
        band = on("band").mark_area(opacity=0.15).encode(y=_y(chart.y, "low"), y2="high:Q", color=colour)
        linear = on("law").mark_line(strokeDash=[4, 4], strokeWidth=1).encode(y=_y(chart.y, "linear"), color=colour)
        layers += [band, linear, on("law").mark_line(strokeWidth=2).encode(color=colour)]
        layers.append(on("held_out").mark_point(filled=False, size=260, strokeWidth=2).encode(color=colour))
    layers.append(
        on("counted")
        .mark_point(filled=True, size=14, opacity=0.5, xOffset=aside)
        .encode(color=colour, tooltip=_run_tooltip(chart))
    )
    layers.append(
        on("bars").mark_rule(strokeWidth=2, opacity=0.7).encode(y=_y(chart.y, "low"), y2="high:Q", color=colour)
    )
    if chart.x is not None and not chart.identity and not chart.fitted:
        layers.append(on("means").mark_line(strokeWidth=2).encode(color=colour))
    layers.append(
        on("means")
        .mark_point(filled=True, size=64, opacity=1)
        .encode(color=colour, shape=shape, tooltip=_mean_tooltip(chart))
    )
    for state, form, ink in (("marked", "diamond", style.marked), ("invalid", "circle", style.invalid)):
        hollow = on(state).mark_point(filled=False, shape=form, size=70, strokeWidth=2, color=ink, xOffset=aside)
        layers.append(hollow.encode(tooltip=_run_tooltip(chart)))
    return layers


def _x(chart: Chart) -> alt.X:
    if chart.x is None:
        axis = alt.Axis(
            title=chart.x_title or None,
            labelAngle=-35 if len(chart.sides) > FEW_SIDES else 0,
            grid=False,
            labelLimit=140,
            labelOverlap=False,
        )
        # Ordered by the domain alone: a list to sort by would become an expression with the labels in it.
        return alt.X("side:N", sort=None, scale=alt.Scale(domain=list(chart.sides)), axis=axis)
    return alt.X("x:Q", scale=_scale(chart.x), axis=_axis(chart.x, grid=chart.identity))


def _y(axis: Axis, field: str = "y") -> alt.Y:
    return alt.Y(f"{field}:Q", scale=_scale(axis), axis=_axis(axis, grid=True))


def _scale(axis: Axis) -> alt.Scale:
    domain = list(axis.domain)
    return (
        alt.Scale(type="log", domain=domain, nice=False)
        if axis.log
        else alt.Scale(domain=domain, nice=False, zero=False)
    )


def _axis(axis: Axis, grid: bool) -> alt.Axis:
    if axis.ticks:
        return alt.Axis(title=axis.title, grid=grid, format=",~r", values=list(axis.ticks))
    return alt.Axis(title=axis.title, grid=grid, format=",~r", tickCount=5)


def _colour(chart: Chart, style: Style) -> alt.Color:
    colours = [style.colours[at % len(style.colours)] for at in range(len(chart.sides))]
    legend = alt.Legend(title=None, columns=4) if style.legend else None
    return alt.Color("side:N", scale=alt.Scale(domain=list(chart.sides), range=colours), legend=legend)


def _shape(chart: Chart) -> alt.Shape:
    shapes = [SHAPES[at % len(SHAPES)] for at in range(len(chart.sides))]
    return alt.Shape("side:N", scale=alt.Scale(domain=list(chart.sides), range=shapes), legend=None)


def _mean_tooltip(chart: Chart) -> list[alt.Tooltip]:
    x = [alt.Tooltip("x:Q", title=chart.x_title, format=",~r")] if chart.x is not None else []
    texts = (("side", "side"), ("value", "mean over runs"), ("interval", "95 % interval or spread"))
    more = (("runs", "runs"), ("verdict", "gave out first"), ("id", "point"))
    first, *rest = [alt.Tooltip(f"{field}:N", title=title) for field, title in texts + more]
    return [first, *x, *rest]


def _run_tooltip(chart: Chart) -> list[alt.Tooltip]:
    x = [alt.Tooltip("x:Q", title=chart.x_title, format=",.4~r")] if chart.x is not None else []
    return [
        alt.Tooltip("side:N", title="side"),
        *x,
        alt.Tooltip("y:Q", title=chart.y.title, format=",.4~r"),
        alt.Tooltip("state:N", title="state of the run"),
        alt.Tooltip("id:N", title="trial"),
    ]
