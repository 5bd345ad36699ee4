"""What a run says of one server and of many: capacity by number of servers, efficiency, the law, the point held out of it.

Points that differ in nothing but `servers` make one curve (harness/analysis/sides.py). Its values are capacities where
capacity was searched for, else throughputs of a closed loop at saturation; an open load shows what was offered, and makes none.

A number of servers in which one run that counts has no value is left out of all: the mean of the others would be that of the
fortunate ones.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.law import Span
from harness.analysis.scaling import SIZES_TO_HOLD_OUT, Fit, Observation, fit, growth
from harness.analysis.sides import servers_of, sides
from harness.analysis.statistics import Estimate, estimate, ratio
from harness.analysis.study import Point, Row, Study
from harness.spec.traffic import Slo

TRIANGLE = 1 - math.sqrt(0.05)
"""The difference of two values that lie anywhere in intervals of the same width is smaller in 95 of 100 cases, in widths."""

Value = tuple[float, float | None]
"""What a run found, and the lowest rate above it that failed, where there is one; requests/s."""

Reader = Callable[[Row], Value | None]
"""Takes the value of a run that counts; None where it has none."""


@dataclass(frozen=True)
class Efficiency:
    """Capacity per server over that of the fewest servers, paired by block."""

    value: float
    low: float | None  # the 95 % interval, what the searches left open included; None with fewer than 3 blocks
    high: float | None


@dataclass(frozen=True)
class Size:
    """One number of servers."""

    servers: int
    point: Point
    found: Estimate | None  # None: no run counts, or one that does has no value
    efficiency: Efficiency | None
    without: int  # runs that count and have no value: none met the SLO, or the client gave out

    @property
    def rows(self) -> tuple[Row, ...]:
        """Its runs that count."""
        return self.point.counted


@dataclass(frozen=True)
class HeldOut:
    """The largest number of servers, and what the fit to all others foretold of it."""

    servers: int
    value: float  # mean of its runs
    fit: Fit
    prediction: Span | None

    @property
    def inside(self) -> bool | None:
        """Whether it lies where it was foretold; None without an interval."""
        return None if self.prediction is None else self.prediction.low <= self.value <= self.prediction.high


@dataclass(frozen=True)
class Curve:
    """One side of the experiment by number of servers."""

    name: str  # the levels that set it apart from other curves; empty: it is the only one
    model: str
    metric: str  # `capacity_rps` or `throughput_rps`
    slo: Slo
    sizes: tuple[Size, ...]  # by number of servers
    observations: tuple[Observation, ...]  # of the sizes that have a value
    fit: Fit | None  # through all of them
    held_out: HeldOut | None
    superlinear: bool  # capacity grows faster than the number of servers, which the law does not know

    @property
    def measured(self) -> tuple[Size, ...]:
        """The sizes that have a value."""
        return tuple(size for size in self.sizes if size.found is not None)

    @property
    def left_out(self) -> tuple[Size, ...]:
        """The sizes of which some runs that count have no value."""
        return tuple(size for size in self.sizes if size.without)

    @property
    def most(self) -> int:
        """The largest number of servers that has a value; 0: none has."""
        return max((size.servers for size in self.measured), default=0)

    @property
    def clustered(self) -> bool:
        """Whether it is about more than one server by itself."""
        return any(size.servers > 1 for size in self.sizes)


def curves(study: Study, read: Reader | None = None) -> tuple[Curve, ...]:
    """Every curve of a run, in the order of the spec's levels.

    Args:
        study: the run.
        read: another way to take a run's value; by default what its kind of load is about.
    """
    points = [point for point in study.points if _told(point)]
    found = (_curve(study, name, part, read) for name, part in sides(study.run.plan.factors, points))
    return tuple(curve for curve in found if curve.sizes)


def _told(point: Point) -> bool:
    """Whether it says how much is held: nothing is broken on purpose, and the load goes to the limit."""
    trial = point.rows[0].planned.trial
    return (point.searched or point.closed) and not trial.faults and point.fault == "none"


def _curve(study: Study, name: str, points: Sequence[Point], read: Reader | None) -> Curve:
    first, seed = points[0].rows[0].planned.trial, study.run.plan.experiment.seed
    searched = points[0].searched
    taken = read or (capacity_of if searched else throughput_of)
    by_size = sorted(points, key=servers_of)
    runs = {servers_of(point): {row.planned.block: taken(row) for row in point.counted} for point in by_size}
    found = tuple(one for servers, values in runs.items() for one in _observations(servers, values))
    grown = growth(found) if len({one.servers for one in found}) > 1 else None
    return Curve(
        name=name,
        model=first.model_name,
        metric="capacity_rps" if searched else "throughput_rps",
        slo=first.slo,
        sizes=tuple(_size(point, found, runs[servers_of(point)], seed) for point in by_size),
        observations=found,
        fit=fit(found, seed),
        held_out=_held_out(found, seed),
        superlinear=grown is not None and grown.low > 0,
    )


def _observations(servers: int, values: Mapping[int, Value | None]) -> list[Observation]:
    """By block; none as soon as one run lacks its value."""
    known = [Observation(servers, block, *value) for block, value in values.items() if value is not None]
    return known if len(known) == len(values) else []


def _size(point: Point, found: Sequence[Observation], values: Mapping[int, Value | None], seed: int) -> Size:
    servers = servers_of(point)
    return Size(
        servers=servers,
        point=point,
        found=estimate([one.value for one in found if one.servers == servers], seed),
        efficiency=_efficiency(servers, found, seed),
        without=sum(value is None for value in values.values()),
    )


def _efficiency(servers: int, found: Sequence[Observation], seed: int) -> Efficiency | None:
    """By block, on the logarithm; what the searches left open is added in quadrature."""
    fewest = min((one.servers for one in found), default=servers)
    own, base = ({o.block: o for o in found if o.servers == n} for n in (servers, fewest))
    both = sorted(own.keys() & base.keys())
    each = ratio([(own[block].value / servers, base[block].value / fewest) for block in both], seed)
    if each is None:
        return None
    if each.low is None or each.high is None or servers == fewest:
        return Efficiency(each.ratio, each.low, each.high)
    open_ = max(_width(by[block]) for by in (own, base) for block in both) * TRIANGLE
    below = math.hypot(math.log(each.ratio / each.low), open_)
    above = math.hypot(math.log(each.high / each.ratio), open_)
    return Efficiency(each.ratio, each.ratio * math.exp(-below), each.ratio * math.exp(above))


def _width(one: Observation) -> float:
    return math.log(one.above / one.value) if one.above is not None and one.above > one.value else 0.0


def _held_out(found: Sequence[Observation], seed: int) -> HeldOut | None:
    """From 5 numbers of servers on."""
    sizes = sorted({one.servers for one in found})
    rest = fit([one for one in found if one.servers != sizes[-1]], seed) if len(sizes) >= SIZES_TO_HOLD_OUT else None
    if rest is None:
        return None
    values = [one.value for one in found if one.servers == sizes[-1]]
    return HeldOut(sizes[-1], math.fsum(values) / len(values), rest, rest.prediction(sizes[-1]))


def capacity_of(row: Row) -> Value | None:
    """The interval that a search found; None where no rate met the SLO, or the client ended it: that says "at least"."""
    found = row.result.capacity if row.result is not None else None
    if found is None or not found.low_rps or found.ended == "client gave out":
        return None
    return found.low_rps, found.high_rps


def throughput_of(row: Row) -> Value | None:
    """The throughput of a closed loop."""
    value = row.values["throughput_rps"]
    return (value, None) if value else None
