"""How many servers a demand takes, by what was measured and, beyond that, by the law fitted to it. Pure.

A number of servers that was measured answers with its own runs; one between those, or beyond them, with the law and the
interval in which a new run would fall. No number is advised of which neither knows anything, or of which some runs have no
value: what the others hold is not what it holds.
"""

import math
from dataclasses import dataclass
from typing import Literal

from harness.analysis.clusters import Curve, Efficiency
from harness.analysis.law import Span
from harness.analysis.prices import Costs, Price, per_million

Basis = Literal["measured", "between", "beyond"]
"""The number of servers was measured; lies between such numbers; beyond all of them, where the law is extrapolated."""

FAR = 4
"""Times the largest number measured up to which a surer number is looked for."""


@dataclass(frozen=True)
class Held:
    """What a number of servers holds."""

    servers: int
    rate_rps: float
    interval: Span | None
    basis: Basis


@dataclass(frozen=True)
class Advice:
    """For one curve."""

    curve: Curve
    rate_rps: float
    needed_rps: float  # the rate with its headroom
    one: Held | None  # what one server holds; None: nothing tells
    use: Held | None  # the fewest servers that hold what is needed; None: no number does, or nothing tells
    surer: Held | None  # the fewest that hold it with the lower end of their interval, where these are more
    efficiency: Efficiency | None  # of `use`
    price: Price | None  # of `use`

    @property
    def cost_per_million(self) -> float | None:
        """At the rate asked for, headroom unused."""
        return per_million(self.price.per_hour, self.rate_rps) if self.price is not None else None


def advise(curve: Curve, rate_rps: float, headroom: float, costs: Costs | None) -> Advice:
    """What to use for a demand.

    Args:
        curve: with at least one measured size.
        rate_rps: the demand.
        headroom: share by which the servers are to hold more.
        costs: of any number of servers, where prices are known.
    """
    needed = rate_rps * (1 + headroom)
    use = _fewest(curve, needed, surely=False)
    surer = _fewest(curve, needed, surely=True) if use is not None and _low(use) < needed else None
    return Advice(
        curve=curve,
        rate_rps=rate_rps,
        needed_rps=needed,
        one=held_by(curve, 1),
        use=use,
        surer=surer,
        efficiency=efficiency_at(curve, use.servers) if use is not None else None,
        price=costs.of(use.servers) if costs is not None and use is not None else None,
    )


def held_by(curve: Curve, servers: int) -> Held | None:
    """What so many servers hold; None where nothing tells, or some runs of so many have no value.

    The interval of a measured number goes up to where its searches failed, or to the end of that of their mean.
    """
    sizes = {size.servers: size.found for size in curve.measured}
    if (found := sizes.get(servers)) is not None:
        if found.low is None or found.high is None:
            return Held(servers, found.mean, None, "measured")
        above = [one.above or one.value for one in curve.observations if one.servers == servers]
        return Held(servers, found.mean, Span(found.low, max(found.high, math.fsum(above) / len(above))), "measured")
    if curve.fit is None or any(size.servers == servers for size in curve.left_out):
        return None
    inside = min(sizes) < servers < max(sizes)
    basis: Basis = "between" if inside else "beyond"
    return Held(servers, curve.fit.law.at(servers), curve.fit.prediction(servers), basis)


def efficiency_at(curve: Curve, servers: int) -> Efficiency | None:
    """Measured where it was, else the law's."""
    measured = next((size.efficiency for size in curve.measured if size.servers == servers), None)
    if measured is not None or curve.fit is None:
        return measured
    span = curve.fit.efficiency(servers)
    return Efficiency(curve.fit.law.efficiency(servers), span.low if span else None, span.high if span else None)


def stops_paying(curve: Curve) -> int | None:
    """The number of servers beyond which one more brings less than half of one.

    None where the law does not bend within twice what was measured: it would be read off a part of it that nothing shows.
    """
    last = curve.fit.law.pays_to if curve.fit is not None and not curve.superlinear else None
    return last if last is not None and last <= 2 * curve.most else None


def _fewest(curve: Curve, needed_rps: float, *, surely: bool) -> Held | None:
    """The fewest servers that hold a rate, within what was measured, then beyond."""
    limit = curve.most
    if curve.fit is not None:
        beyond = curve.fit.law.servers_for(needed_rps) if not surely else FAR * curve.most
        limit = max(limit, beyond or 0)
    for servers in range(1, limit + 1):
        found = held_by(curve, servers)
        if found is not None and (_low(found) if surely else found.rate_rps) >= needed_rps:
            return found
    return None


def _low(held: Held) -> float:
    """The lower end of the interval, or the value where there is none."""
    return held.interval.low if held.interval is not None else held.rate_rps
