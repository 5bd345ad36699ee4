"""How sure one has to be at each look, when one looks after every block and stops where the answer is clear.

Whoever tests equal sides at 5 % after each of eleven blocks calls them different three times as often as promised. So
each look is held to a smaller level, the same at every look (S. J. Pocock, Group sequential methods in the design and
analysis of clinical trials, Biometrika 64, 1977), such that all of them together keep the 5 %. An interval at that
level holds whenever it is looked at, and whyever the repeats ended (C. Jennison, B. W. Turnbull, Interim analyses: the
repeated confidence interval approach, J. R. Stat. Soc. B 51, 1989).

Pocock's table is for known variances; Student's t with a handful of blocks needs its own. As t depends on neither the
mean nor the variance of normal values, a simulation of standard normal ones gives the level for all.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from harness.analysis.statistics import CONFIDENCE, Rule, t_quantile
from harness.spec.experiment import Experiment, Repeats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PATHS = 200_000
MOST_VALUES = 8_000_000  # of all paths together: 32 MB
SEED = 1977


def rule_for(experiment: Experiment, sides: int = 2, bound: float = 0.0) -> Rule:
    """How sure the ratio of two sides at one place has to be.

    With a fixed number of repeats each pair is told at 95 %. With `until: ranked` every pair at a place decides
    whether it is over, so the 5 % are shared out among the pairs (Bonferroni) and over the looks.

    Args:
        experiment: the spec.
        sides: at that place.
        bound: the A/A ratio's distance from 1, natural logarithm.
    """
    repeats, alpha = experiment.repeats, 1 - CONFIDENCE
    if not isinstance(repeats, Repeats):
        return Rule(alpha, bound)
    pairs = max(1, sides * (sides - 1) // 2)
    return Rule(level_of_a_look(repeats.min, repeats.max, alpha / pairs), bound, looked=True)


@lru_cache(maxsize=256)
def level_of_a_look(first: int, last: int, alpha: float) -> float:
    """Two-sided level of each look, such that equal sides are called different at any of them with probability alpha.

    Args:
        first: blocks at the first look, 2 or more.
        last: blocks at the last; there is a look after each block from the first to it.
        alpha: of the whole procedure.
    """
    if last <= first:
        return alpha
    statistics = _paths(first, last)
    lower, upper = alpha / (last - first + 1), alpha  # Bonferroni's bound, and that of a single look
    for _ in range(20):
        level = (lower * upper) ** 0.5
        if _called(statistics, first, level) > alpha:
            upper = level
        else:
            lower = level
    return lower


def _called(statistics: "NDArray[np.float32]", first: int, level: float) -> float:
    """Share of the paths that cross the boundary at any look."""
    import numpy as np

    looks = statistics.shape[0]
    boundary = np.array([t_quantile(1 - level / 2, first + look - 1) for look in range(looks)], dtype=np.float32)
    crossed = np.zeros(statistics.shape[1], dtype=bool)
    for look in range(looks):
        crossed |= statistics[look] > boundary[look]
    return float(crossed.mean())


@lru_cache(maxsize=4)
def _paths(first: int, last: int) -> "NDArray[np.float32]":
    """The absolute value of Student's t at each look (rows) of each path (columns), for equal sides."""
    import numpy as np

    looks = last - first + 1
    paths = min(PATHS, MOST_VALUES // looks)
    chance = np.random.default_rng((SEED, first, last))
    total, squares = np.zeros(paths), np.zeros(paths)
    found = np.empty((looks, paths), dtype=np.float32)
    for count in range(1, last + 1):
        values = chance.standard_normal(paths)
        total += values
        squares += values * values
        if count >= first:
            variance = (squares - total * total / count) / (count - 1)
            found[count - first] = np.abs(total) / np.sqrt(count * variance)
    return found
