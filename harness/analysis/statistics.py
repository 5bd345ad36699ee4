"""Intervals over runs: the unit of variation is the run, never the request (docs/method.md).

From 3 runs on a mean has a 95 % interval: Student's t on the values, a studentised bootstrap from 20 runs on, where
the shape of the sample is known well enough to be used. A ratio is the same on its logarithm, paired by block.
Where the data were looked at after every block, it is Student's t throughout: the boundary that keeps the promise over
all looks is known for it (harness/analysis/sequential.py).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95
POWER = 0.80
RUNS_FOR_INTERVAL = 3
RUNS_FOR_VERDICT = 5
RUNS_FOR_BOOTSTRAP = 20
RESAMPLES = 2_000
MOST_REPEATS = 1_000


@dataclass(frozen=True)
class Estimate:
    """A mean over runs, and how well it is known."""

    mean: float
    low: float | None  # the 95 % interval; None with fewer than 3 runs, or with a censored one
    high: float | None
    runs: int
    least: float  # the spread: smallest and largest of the runs
    most: float
    at_least: bool = False  # a run was censored: the mean is no less than this


@dataclass(frozen=True)
class Rule:
    """How sure an interval of a ratio has to be, and by how much it has to exclude 1 to be called a difference."""

    alpha: float = 1 - CONFIDENCE  # two-sided
    bound: float = 0.0  # natural logarithm: as far apart as two equal sides came (A/A)
    looked: bool = False  # at the data, after every block


@dataclass(frozen=True)
class Ratio:
    """A ratio of two sides over the blocks that hold both."""

    ratio: float
    low: float | None  # the 95 % interval; None with fewer than 3 blocks
    high: float | None
    blocks: int
    more_repeats: int | None = None  # about how many more would settle it; None: settled, or more than 1,000
    bound: float = 1.0  # the A/A ratio's distance from 1, as a ratio of 1 or more

    @property
    def excludes_one(self) -> bool:
        """Whether the interval holds 1 no more."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high

    @property
    def differs(self) -> bool:
        """Whether the two sides differ: the interval excludes 1 by more than two equal sides came apart."""
        return self.low is not None and self.high is not None and (self.low > self.bound or self.high < 1 / self.bound)

    def within(self, reach: float) -> bool:
        """Whether the interval lies between 1 / (1 + reach) and 1 + reach."""
        return self.low is not None and self.high is not None and 1 / (1 + reach) <= self.low <= self.high <= 1 + reach


def estimate(values: Sequence[float], seed: int, censored_at: float | None = None) -> Estimate | None:
    """The mean over runs with its interval; None without runs.

    Args:
        values: one value a run; infinite where the run's percentile lies among timed-out requests.
        seed: the plan's, for the bootstrap.
        censored_at: what an infinite value is known to exceed; the mean is then a lower bound, without interval.
    """
    if not values:
        return None
    at_least = any(math.isinf(value) for value in values)
    known = [censored_at or 0.0 if math.isinf(value) else value for value in values]
    low, high = (None, None) if at_least else interval(known, seed)
    mean, _ = _mean_and_error(known)
    return Estimate(mean, low, high, len(known), min(known), max(known), at_least)


def interval(values: Sequence[float], seed: int, rule: Rule = Rule()) -> tuple[float, float] | tuple[None, None]:
    """The interval of the mean, by default at 95 %; nothing from fewer than 3 values."""
    count = len(values)
    if count < RUNS_FOR_INTERVAL:
        return None, None
    mean, error = _mean_and_error(values)
    if error == 0:
        return mean, mean
    if count < RUNS_FOR_BOOTSTRAP or rule.looked:
        reach = t_quantile(1 - rule.alpha / 2, count - 1) * error
        return mean - reach, mean + reach
    below, above = _studentised(values, seed, rule.alpha)
    return mean - above * error, mean - below * error


def ratio(pairs: Sequence[tuple[float, float]], seed: int, rule: Rule = Rule()) -> Ratio | None:
    """The first side over the second, a pair a block; None where a side is not a finite number above 0."""
    if not pairs or not all(math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0 for a, b in pairs):
        return None
    logs = [math.log(a / b) for a, b in pairs]
    low, high = interval(logs, seed, rule)
    mean, bound = math.fsum(logs) / len(logs), math.exp(rule.bound)
    if low is None or high is None:
        return Ratio(math.exp(mean), None, None, len(logs), bound=bound)
    found = Ratio(math.exp(mean), math.exp(low), math.exp(high), len(logs), bound=bound)
    return found if found.differs else replace(found, more_repeats=_more_repeats(logs, rule))


def _more_repeats(logs: Sequence[float], rule: Rule) -> int | None:
    """Repeats beyond these after which a true difference of the observed size is found 4 times in 5."""
    mean, error = _mean_and_error(logs)
    deviation, count, beyond = error * math.sqrt(len(logs)), len(logs), abs(mean) - rule.bound

    def found(more: int) -> bool:
        freedom = count + more - 1
        reach = t_quantile(1 - rule.alpha / 2, freedom) + t_quantile(POWER, freedom)
        return beyond > 0 and beyond >= reach * deviation / math.sqrt(count + more)

    more = 1 + bisect_left(range(1, MOST_REPEATS + 1), True, key=found)  # more repeats never find less
    return more if more <= MOST_REPEATS else None


@lru_cache(maxsize=4096)
def t_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    count = len(values)
    if min(values) == max(values):
        return values[0], 0.0
    mean = math.fsum(values) / count
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)


def _studentised(values: Sequence[float], seed: int, alpha: float) -> tuple[float, float]:
    """Quantiles of (resampled mean − mean) / resampled standard error."""
    import numpy as np

    sample = np.asarray(values)
    resampled = sample[_resamples(len(values), seed)]
    errors = resampled.std(axis=1, ddof=1) / math.sqrt(len(values))
    shifts = resampled.mean(axis=1) - sample.mean()
    pivots = shifts[errors > 0] / errors[errors > 0]
    below, above = np.quantile(pivots, (alpha / 2, 1 - alpha / 2))
    return float(below), float(above)


@lru_cache(maxsize=64)
def _resamples(count: int, seed: int) -> "NDArray[np.intp]":
    import numpy as np

    return np.random.default_rng((seed, count)).integers(0, count, size=(RESAMPLES, count))
