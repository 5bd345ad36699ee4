"""The Universal Scalability Law, fitted to capacity by number of servers. Pure.

    C(N) = λ·N / (1 + σ·(N − 1) + κ·N·(N − 1)),   λ > 0, σ ≥ 0, κ ≥ 0

λ is what one server holds, σ the share of the work for which servers queue up (contention), κ what keeping every pair of
them in step costs (coherency): N. J. Gunther, "A General Theory of Computational Scalability Based on Rational
Functions" (arXiv:0808.1431), and "Guerrilla Capacity Planning" (Springer, 2007), chapters 4 to 6.

Written as N / C(N) = a + b·(N − 1) + c·N·(N − 1), with a = 1/λ, b = σ/λ, c = κ/λ, it is linear: the weighted non-linear
least squares of its relative errors, under the bounds above, is one of four linear ones, each exactly solved. No
starting values are needed, and thousands of fits take milliseconds.

Intervals come from such fits to values drawn from the seed around the fitted law, with log-normal errors whose size is
itself drawn as its estimate from so few runs demands (σ²·ν/χ²). Without bounds that is the exact interval of Student's t.
The errors are never taken to be smaller than what a search for capacity can see: its resolution.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from harness.analysis.law import MOST_SERVERS, WORTH, Law, Span
from harness.analysis.statistics import CONFIDENCE, RUNS_FOR_INTERVAL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

DRAWS = 2_000
"""Fits behind an interval."""

FEWEST_SIZES = 3
"""Different numbers of servers that a law of three parameters takes."""

SIZES_TO_HOLD_OUT = 5
"""From as many on, the largest is left out of the fit and tells whether the law foretells it."""

_SETS = ((0,), (0, 1), (0, 2), (0, 1, 2))
"""Which of a, b, c are not at their bound."""


@dataclass(frozen=True)
class Observation:
    """What one run found."""

    servers: int
    block: int
    value: float  # requests/s
    above: float | None = None  # lowest rate above it that failed: the capacity lies between; None: it is exact


@dataclass(frozen=True)
class Fit:
    """A law with how well it is known."""

    law: Law
    sizes: tuple[int, ...]  # the numbers of servers that it rests on
    runs: int
    spread: float  # of a run around the law, standard deviation of the logarithm
    draws: "Numbers | None"  # λ, σ, κ and a run's relative error, a row a draw; None with fewer than 3 repeats

    @cached_property
    def scale(self) -> Span | None:
        """The interval of λ."""
        return self._span(0)

    @cached_property
    def sigma(self) -> Span | None:
        """The interval of σ."""
        return self._span(1)

    @cached_property
    def kappa(self) -> Span | None:
        """The interval of κ."""
        return self._span(2)

    @property
    def kappa_known(self) -> bool:
        """Whether κ is larger than 0 for certain; else no peak is told."""
        return self.kappa is not None and self.kappa.low > 0

    def curve(self, servers: float) -> Span | None:
        """Where the law runs at N, requests/s."""
        return None if self.draws is None else _quantiles(_curves(self.draws, servers))

    def prediction(self, servers: float) -> Span | None:
        """Where a new run with N servers falls in 19 of 20 cases: the law's own interval and the spread of runs."""
        return None if self.draws is None else _quantiles(_curves(self.draws, servers) * self.draws[:, 3])

    def efficiency(self, servers: float) -> Span | None:
        """The interval of `Law.efficiency`."""
        if self.draws is None:
            return None
        return _quantiles(_curves(self.draws, servers) / (self.draws[:, 0] * servers))

    def pays_to(self) -> Span | None:
        """The interval of `Law.pays_to`; infinite where it lies beyond `MOST_SERVERS`."""
        import numpy as np

        if self.draws is None:
            return None
        sizes = np.arange(1, MOST_SERVERS + 1)
        curves = _curves(self.draws[:, :3, None], sizes)
        little = np.diff(curves, axis=1) < WORTH * self.draws[:, :1]
        first = np.where(little.any(axis=1), little.argmax(axis=1) + 1.0, np.inf)
        return _quantiles(first)

    def _span(self, column: int) -> Span | None:
        return None if self.draws is None else _quantiles(self.draws[:, column])


def fit(found: Sequence[Observation], seed: int) -> Fit | None:
    """The law through the runs, each with the same weight; None from fewer than 3 different numbers of servers.

    Args:
        found: values above 0; at least a run more than the law has parameters.
        seed: the plan's.
    """
    import numpy as np

    sizes = tuple(sorted({one.servers for one in found}))
    if len(sizes) < FEWEST_SIZES or len(found) <= FEWEST_SIZES:
        return None
    servers = np.array([one.servers for one in found], dtype=np.float64)
    values = np.array([one.value for one in found])
    terms, rests = _solve(servers, values[None, :])
    law = _law(terms[0])
    freedom = len(found) - FEWEST_SIZES
    spread = max(math.sqrt(float(rests[0]) / freedom), grain(found))
    repeats = len({one.block for one in found})
    drawn = _draw(law, servers, spread, freedom, seed) if repeats >= RUNS_FOR_INTERVAL else None
    return Fit(law, sizes, len(found), spread, drawn)


def grain(found: Sequence[Observation]) -> float:
    """What a search leaves open, as a standard deviation of the logarithm: the capacity lies anywhere between its ends."""
    widths = [math.log(one.above / one.value) for one in found if one.above is not None and one.above > one.value]
    return math.sqrt(math.fsum(width**2 for width in widths) / 12 / len(found)) if widths else 0.0


def growth(found: Sequence[Observation]) -> Span | None:
    """Exponent of N by which capacity per server grows: above 0, the whole holds more than its parts (superlinear).

    The slope of log(C/N) over log N by least squares, with Student's t; None with one number of servers, or 2 runs.
    """
    import numpy as np
    from scipy.special import stdtrit

    x = np.log([one.servers for one in found])
    y = np.log([one.value / one.servers for one in found])
    freedom, around = len(found) - 2, x - x.mean()
    if freedom < 1 or not around.any():
        return None
    slope = float(around @ y / (around @ around))
    rest = y - y.mean() - slope * around
    spread = max(math.sqrt(float(rest @ rest) / freedom), grain(found))
    reach = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(float(around @ around))
    return Span(slope - reach, slope + reach)


def _draw(law: Law, servers: "Numbers", spread: float, freedom: int, seed: int) -> "Numbers":
    """Laws that the runs could have come from as well, and the relative error of one more run for each."""
    import numpy as np

    chance = np.random.default_rng((seed, len(servers)))
    sizes = spread * np.sqrt(freedom / chance.chisquare(freedom, DRAWS))
    errors = np.exp(chance.standard_normal((DRAWS, len(servers))) * sizes[:, None])
    true = np.array([law.at(n) for n in servers])
    terms, _ = _solve(servers, true[None, :] * errors)
    more = np.exp(chance.standard_normal(DRAWS) * sizes)
    scale = 1 / terms[:, 0]
    return np.column_stack([scale, terms[:, 1] * scale, terms[:, 2] * scale, more])


def _solve(servers: "Numbers", values: "Numbers") -> tuple["Numbers", "Numbers"]:
    """a, b, c of each row of values, at their bounds or above, and the sum of the squared relative errors."""
    import numpy as np

    design = np.stack([np.ones_like(servers), servers - 1, servers * (servers - 1)], axis=-1)
    weighted = design[None, :, :] * (values / servers)[:, :, None]  # of which each row ought to give 1
    products = np.einsum("dri,drj->dij", weighted, weighted)
    sums = weighted.sum(axis=1)
    best = np.zeros((len(values), 3))
    least = np.full(len(values), np.inf)
    for chosen in _SETS:
        terms = np.zeros((len(values), 3))
        part = products[:, chosen][:, :, chosen]
        terms[:, chosen] = np.linalg.solve(part, sums[:, chosen][:, :, None])[:, :, 0]
        rests = ((np.einsum("drj,dj->dr", weighted, terms) - 1) ** 2).sum(axis=1)
        better = (terms >= 0).all(axis=1) & (terms[:, 0] > 0) & (rests < least)
        best[better], least[better] = terms[better], rests[better]
    return best, least


def _law(terms: "Numbers") -> Law:
    a, b, c = (float(term) for term in terms)
    return Law(1 / a, b / a, c / a)


def _curves(draws: "Numbers", servers: "float | NDArray[np.int_]") -> "Numbers":
    scale, sigma, kappa = draws[:, 0], draws[:, 1], draws[:, 2]
    curves: Numbers = scale * servers / (1 + sigma * (servers - 1) + kappa * servers * (servers - 1))
    return curves


def _quantiles(values: "Numbers") -> Span:
    import numpy as np

    low, high = np.quantile(values, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2), method="inverted_cdf")
    return Span(float(low), float(high))
