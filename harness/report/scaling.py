"""One server, and many: capacity by number of servers, the law through it, and what follows for those who have to build it."""

import math
from collections.abc import Iterator
from typing import Any

from harness.analysis.advice import held_by
from harness.analysis.clusters import Curve, Efficiency, Size, curves
from harness.analysis.prices import hour_of, per_million
from harness.analysis.statistics import Estimate
from harness.analysis.study import Study
from harness.report.advising import efficiency_in_words, sentences
from harness.report.charts import Chart, Panel
from harness.report.scales import Axis, short
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table
from harness.report.text import NOTHING, between, estimated, number
from harness.spec.metrics import METRICS

TITLE = "One server, and many"
LAW_POINTS = 48
DEFINITIONS = (
    ("Servers", "How many stood behind one address, or took the clients' connections in turn (`direct`)."),
    ("Capacity", METRICS["capacity_rps"].definition + " Below, the 95 % interval, up to where the searches failed."),
    ("Throughput", METRICS["throughput_rps"].definition),
    ("Efficiency", "Of so many servers against as many times the fewest that were measured: paired by block, on log ratios. What the searches left open is a part of the interval."),
    ("Per server", "The mean over the number of servers."),
    ("Imbalance", "Over the mean of the servers; see the servers one by one."),
    ("Cost / million", "Of a million requests at full use: the hosts of the servers and of the balancer, at the inventory's prices; those of the clients are not counted."),
    ("Gave out first", "In most of the runs, at the rate found; what gave out above it is in the table of limits."),
)  # fmt: skip


def shown_curves(study: Study) -> list[Curve]:
    """The curves that are about more than one server by itself."""
    return [curve for curve in curves(study) if curve.clustered and (curve.measured or curve.left_out)]


def scaling_section(study: Study) -> Section | None:
    """The sentences and the table; None where no trial had several servers."""
    shown = shown_curves(study)
    if not shown:
        return None
    notes = tuple(" ".join(sentences(curve)) for curve in shown)
    laws = tuple(law_in_words(curve) for curve in shown if curve.fit is not None)
    table = _table(study, shown)
    heads = {column.title for column in table.columns}
    definitions = tuple((head, text) for head, text in DEFINITIONS if head in heads)
    return Section("scaling", "One and many", TITLE, (*notes, *laws), table, definitions)


def law_in_words(curve: Curve) -> str:
    """The fitted parameters with their intervals."""
    if curve.fit is None:
        return ""
    law, fit = curve.fit.law, curve.fit
    named = (("λ", law.scale, fit.scale), ("σ", law.sigma, fit.sigma), ("κ", law.kappa, fit.kappa))
    said = [
        f"{name} {number(value)}" + (f" [{number(span.low)}–{number(span.high)}]" if span else "")
        for name, value, span in named
    ]
    return (
        f"Universal Scalability Law{f', {curve.name}' if curve.name else ''}, C(N) = λN / (1 + σ(N − 1) + κN(N − 1)), through all of the"
        f" above: {', '.join(said)}; runs lie about {number(100 * math.expm1(fit.spread), 2)} % from it (standard deviation)."
    )


def _table(study: Study, shown: list[Curve]) -> Table:
    named = any(curve.name for curve in shown)
    imbalance = "imbalance" in METRICS and any(point.estimates.get("imbalance") for point in study.points)
    costs = any(hour_of(study, size) is not None for curve in shown for size in curve.sizes)
    value = "Capacity" if shown[0].metric == "capacity_rps" else "Throughput"
    titles = ["Servers", value, "Efficiency", "Per server"]
    titles += ["Imbalance"] if imbalance else []
    titles += ["Cost / million"] if costs else []
    heads = [*([Column("side")] if named else []), *(Column(title, numeric=True) for title in titles)]
    rows = [
        (
            *((Cell(curve.name),) if named else ()),
            *_cells(curve, size),
            *((_imbalance(size),) if imbalance else ()),
            *((_cost(study, size),) if costs else ()),
            Cell(gave_out(size)),
        )
        for curve in shown
        for size in curve.sizes
    ]
    return Table((*heads, Column("Gave out first")), tuple(rows))


def _cells(curve: Curve, size: Size) -> tuple[Cell, ...]:
    found, efficiency = size.found, size.efficiency
    servers = Cell(f"{size.servers}", _without(size), f"{size.servers}", numeric=True)
    if found is None:
        return (servers, *(Cell(NOTHING, key="", numeric=True) for _ in range(3)))
    held = held_by(curve, size.servers)
    span = held.interval if held is not None else None
    small = f"{number(span.low)}–{number(span.high)}" if span is not None else between(curve.metric, found)
    return (
        servers,
        Cell(estimated(curve.metric, found), small, f"{found.mean:.6g}", numeric=True),
        _efficiency(efficiency) if efficiency is not None else Cell(NOTHING, key="", numeric=True),
        Cell(f"{number(found.mean / size.servers)}/s", "", f"{found.mean / size.servers:.6g}", numeric=True),
    )


def _efficiency(found: Efficiency) -> Cell:
    value, _, inside = efficiency_in_words(found).partition(" ")
    return Cell(value, inside.strip("[]"), f"{found.value:.6g}", numeric=True)


def _without(size: Size) -> str:
    return f"left out: {size.without} of {len(size.rows)} runs without a value" if size.without else ""


def _imbalance(size: Size) -> Cell:
    found: Estimate | None = size.point.estimates.get("imbalance")
    if found is None:
        return Cell(NOTHING, key="", numeric=True)
    return Cell(estimated("imbalance", found), "", f"{found.mean:.6g}", numeric=True)


def _cost(study: Study, size: Size) -> Cell:
    hour, inventory = hour_of(study, size), study.run.inventory
    if hour is None or inventory is None or size.found is None:
        return Cell(NOTHING, key="", numeric=True)
    cost = per_million(hour, size.found.mean)
    return Cell(f"{number(cost)} {inventory.currency}", f"{number(hour)} per hour", f"{cost:.6g}", numeric=True)


def gave_out(size: Size) -> str:
    """Who gave out first in most runs."""
    return size.point.limited_by or NOTHING


def scaling_chart(study: Study) -> Chart | None:
    """The values with the law, its band, the line of ideal growth, and the point held out; None without several sizes."""
    shown = [curve for curve in shown_curves(study) if len(curve.measured) > 1]
    if not shown:
        return None
    metric = shown[0].metric
    law = tuple(dot for curve in shown for dot in _law(curve))
    means = tuple(dot for curve in shown for dot in _means(curve))
    most = max(curve.most for curve in shown)
    highest = max(
        [dot["y"] for dot in means] + [dot["high"] or dot["y"] for dot in law] + [dot["linear"] for dot in law]
    )
    ticks = tuple(sorted({float(size.servers) for curve in shown for size in curve.measured}))
    title = METRICS[metric].title
    return Chart(
        id="scaling",
        title=f"{title} by number of servers",
        note=(
            "Dashed: as many times one server. Solid: the Universal Scalability Law fitted to the runs, in the band where a further"
            " run would fall in 19 of 20 cases. A ring: held out of that fit, to see whether the law foretells it."
        ),
        sides=tuple(who(curve) for curve in shown),
        x=Axis("Servers", (0.0, most * 1.06), log=False, ticks=ticks),
        x_title="servers",
        y=Axis(f"{title} (requests/s)", (0.0, short(highest * 1.06)), log=False),
        panels=(Panel("", means, tuple(_runs(shown)), law, tuple(_held_out(shown))),),
        fitted=True,
    )


def who(curve: Curve) -> str:
    """A curve's name in the legend."""
    return curve.name or curve.model


def _law(curve: Curve) -> Iterator[dict[str, Any]]:
    """The law that the held-out point was kept from, where one was."""
    fit = curve.held_out.fit if curve.held_out is not None else curve.fit
    if fit is None:
        return
    for at in range(LAW_POINTS + 1):
        servers = 1 + (curve.most - 1) * at / LAW_POINTS
        band = fit.prediction(servers)
        yield {
            "x": short(servers),
            "y": short(fit.law.at(servers)),
            "low": short(band.low) if band else None,
            "high": short(band.high) if band else None,
            "linear": short(fit.law.scale * servers),
            "side": who(curve),
        }


def _means(curve: Curve) -> Iterator[dict[str, Any]]:
    for size in curve.measured:
        found = size.found
        if found is None:
            continue
        yield {
            "x": size.servers,
            "side": who(curve),
            "y": short(found.mean),
            "low": short(max(found.low, 0)) if found.low is not None else None,
            "high": short(found.high) if found.high is not None else None,
            "value": estimated(curve.metric, found),
            "interval": between(curve.metric, found) or "one run",
            "runs": f"{found.runs}",
            "verdict": gave_out(size),
            "id": size.point.id,
        }


def _runs(shown: list[Curve]) -> Iterator[dict[str, Any]]:
    for curve in shown:
        values = {(one.servers, one.block): one.value for one in curve.observations}
        for size in curve.measured:
            for row in size.rows:
                value = values.get((size.servers, row.planned.block))
                if value is not None:
                    dot = {"x": size.servers, "y": short(value), "side": who(curve)}
                    yield {**dot, "state": row.state, "id": row.planned.id}


def _held_out(shown: list[Curve]) -> Iterator[dict[str, Any]]:
    for curve in shown:
        if curve.held_out is not None:
            yield {"x": curve.held_out.servers, "y": short(curve.held_out.value), "side": who(curve)}
