"""The Anderson-Darling test of exponential gaps, with the rate known (case 0): no estimate, so its limits are tabled."""

import numpy as np
import numpy.typing as npt

CRITICAL = 5.969
"""A² above this is met by chance once in 1,000 times (Marsaglia & Marsaglia 2004, the limit for many values)."""


def statistic(gaps_ns: npt.NDArray[np.float64], rate_per_s: float) -> float:
    """A² of the hypothesis that the gaps are independent draws from an exponential distribution of this rate."""
    sorted_gaps = np.sort(gaps_ns) * rate_per_s / 1e9
    n = len(sorted_gaps)
    ranks = 2 * np.arange(1, n + 1) - 1
    log_below = np.log(-np.expm1(-np.maximum(sorted_gaps, 1e-300)))
    log_above = -sorted_gaps[::-1]
    return float(-n - np.sum(ranks * (log_below + log_above)) / n)
