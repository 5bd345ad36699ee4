"""What a balancer costs: the same load on the same servers through it and without it, paired by block."""

from collections.abc import Iterator, Sequence

from harness.analysis.compare import primary_metric, ratio_of, rule_at
from harness.analysis.sides import balancer_of, servers_of
from harness.analysis.statistics import Ratio
from harness.analysis.study import Point, Study
from harness.report.sections import Section
from harness.report.tables import Cell, Column, Table, measured
from harness.report.text import NOTHING, level, times
from harness.spec.metrics import METRICS

TITLE = "The balancer's price"
NOTE = (
    "Without a balancer the clients spread their connections over the servers themselves (`direct`), or there is one server"
    " (`none`). Ratios are those of the runs in the same block, with the 95 % interval; 1 is no price. Where it lies beyond the"
    " A/A ratio, too, it is called a difference."
)
DEFINITIONS = (
    ("Balancer", "What stood before the servers."),
    ("Ratio", "Over the one without a balancer."),
    ("Said", "Whether the two differ."),
)
ALWAYS = ("response_p50_us", "response_p99_us")


def balancers_section(study: Study) -> Section | None:
    """The table; None where nothing was measured both with a balancer and without."""
    groups = [group for group in _groups(study) if _without(group) is not None and len(group) > 1]
    rows = tuple(row for group in groups for row in _rows(study, group))
    if not rows:
        return None
    heads = (Column("at"), Column("Balancer"), Column("Metric"), *(Column(t, numeric=True) for t in ("Value", "Ratio")))
    return Section("balancers", "Balancer", TITLE, (NOTE,), Table((*heads, Column("Said")), rows), DEFINITIONS)


def _groups(study: Study) -> list[list[Point]]:
    """Points that differ in nothing but what stands before the servers."""
    names = [name for name in study.run.plan.factors if not _carries_balancer(name, study.points)]
    found: dict[tuple[str, ...], list[Point]] = {}
    for point in study.points:
        key = (*(point.factors[name] for name in names), f"{servers_of(point)}")
        found.setdefault(key, []).append(point)
    return [group for group in found.values() if len({balancer_of(point) for point in group}) == len(group)]


def _carries_balancer(name: str, points: Sequence[Point]) -> bool:
    """Whether the balancer changes along this factor, with as many servers and all other factors the same."""
    found: dict[tuple[object, ...], set[str]] = {}
    for point in points:
        rest = (servers_of(point), *(label for other, label in sorted(point.factors.items()) if other != name))
        found.setdefault(rest, set()).add(balancer_of(point))
    return any(len(kinds) > 1 for kinds in found.values())


def _without(group: Sequence[Point]) -> Point | None:
    by_kind = {balancer_of(point): point for point in group}
    return by_kind.get("direct") or by_kind.get("none")


def _rows(study: Study, group: Sequence[Point]) -> Iterator[tuple[Cell, ...]]:
    base = _without(group)
    if base is None:
        return
    main = primary_metric(group, study.run.plan.experiment.metric)
    metrics = [main, *(metric for metric in ALWAYS if metric != main and not base.searched)]
    for metric in metrics:
        for point in [base, *(point for point in group if point is not base)]:
            if point.estimates[metric] is None:
                continue
            found = None if point is base else ratio_of(study, point, base, metric, rule_at(study, metric, len(group)))
            title = METRICS[metric].title + (" (at saturation)" if point.saturated and metric in ALWAYS else "")
            cells = (Cell(_where(study, point)), Cell(balancer_of(point)), Cell(title), measured(metric, point))
            yield (*cells, *_ratio(found, point is base))


def _where(study: Study, point: Point) -> str:
    """Everything that varies but the balancer."""
    names = [name for name in study.run.plan.factors if not _carries_balancer(name, study.points)]
    text = ", ".join(level(name, point.factors[name]) for name in names)
    return text or level("servers", f"{servers_of(point)}")


def _ratio(found: Ratio | None, base: bool) -> tuple[Cell, Cell]:
    if base:
        return Cell("1", "without", "1", numeric=True), Cell("")
    if found is None:
        return Cell(NOTHING, key="", numeric=True), Cell("no ratio: a run is beyond the timeout or lacks it")
    if found.low is None or found.high is None:
        return Cell(times(found.ratio), "", f"{found.ratio:.6g}", numeric=True), Cell("no interval below 3 repeats")
    said = "differs" if found.differs else "cannot be told apart"
    return Cell(
        times(found.ratio), f"{times(found.low)}–{times(found.high)}", f"{found.ratio:.6g}", numeric=True
    ), Cell(said)
