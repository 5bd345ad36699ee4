"""Whether a window was stationary: no stall, no trend, no shift of its level, no growing backlog. Pure.

Answers per 100 ms are gathered into slices (`gather`), long enough for counts to be near normal and for the load's own
rhythm to average out. Their noise is autocorrelated, so a test for independent values would find trends everywhere: both tests
take the effective number of values, n · (1 − r) / (1 + r), with the lag-1 autocorrelation r of what the trend or shift leaves,
corrected for its bias. What is significant but small does no harm: a finding has to be large as well. The critical values were set by
simulation (tests/verdict/test_stationarity.py), as those of tests for a shift at an unknown time always are (D. W. K. Andrews,
Econometrica 61, 1993). Noise that lasts a tenth of the window and longer cannot be told from a change, and counts as one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

SLICE_S = 0.1
"""Length of the client's own slices."""

FEWEST_ANSWERS = 20
"""Answers of a slice on average: from here on counts are near normal, and none at all is no accident (e^-20)."""

CYCLES_OF_A_SLICE = 2.0
"""Mean response times that a slice lasts at least: closed loops go in step, and answers come in waves of that length."""

FEWEST_SLICES, MOST_SLICES = 20, 50
"""With fewer, nothing can be told; with more, nothing more is learnt of a whole window."""

LARGE = 0.1
"""Change over the window, or between two levels, over the mean, that matters: sides are compared to a few per cent."""

LARGE_BACKLOG = 0.01
"""Growth of the backlog over the requests offered, that matters: half of the 2 % overload that an SLO might hide."""

TREND_T = 3.8
"""t of a slope from which it is no accident: 0.02 % by itself; what the estimate of the autocorrelation adds stays below 0.5 %."""

SHIFT_T = 4.8
"""The same for the largest t of some fifty shapes."""

BACKLOG_T = 3.5
"""t of the answers that a slice is short of."""

SHORT = 7.0
"""By how much, over the number of slices, the critical values rise: few slices tell little of their autocorrelation."""

BIAS = 4.0
"""Of n · r, the lag-1 autocorrelation of what a fitted shape leaves: to first order (1 + 4 r) for a line, more for the best of many."""


@dataclass(frozen=True)
class Change:
    """What a test found: the change over the mean, signed, its t, and whether it is both no accident and large."""

    size: float
    t: float
    matters: bool


def gather(per_100ms: Sequence[int], response_s: float = 0.0) -> list[float]:
    """Answers per 100 ms, in slices as long as they need to be; empty where too few slices come out.

    Args:
        per_100ms: the client's counts.
        response_s: mean response time, seconds.
    """
    total = sum(per_100ms)
    if not total:
        return []
    width = max(
        math.ceil(FEWEST_ANSWERS * len(per_100ms) / total),
        math.ceil(CYCLES_OF_A_SLICE * response_s / SLICE_S),
        math.ceil(len(per_100ms) / MOST_SLICES),
    )
    whole = len(per_100ms) // width
    if whole < FEWEST_SLICES:
        return []
    return [sum(per_100ms[index * width : (index + 1) * width]) / width for index in range(whole)]


def longest_stall_s(per_100ms: Sequence[int], response_s: float = 0.0) -> float:
    """The longest time without an answer that is no accident: many were due, and it was longer than the loop's own rhythm."""
    if not sum(per_100ms):
        return 0.0
    rate = sum(per_100ms) / len(per_100ms)
    longest = max(len(run) for run in "".join("." if count else "0" for count in per_100ms).split("."))
    due = longest * rate >= FEWEST_ANSWERS and longest * SLICE_S > CYCLES_OF_A_SLICE * response_s
    return longest * SLICE_S if due else 0.0


def trend(values: Sequence[float]) -> Change:
    """A straight line through the window: a t-test on its slope."""
    count = len(values)
    return _fitted(values, [index / (count - 1) for index in range(count)], TREND_T)


def shift(values: Sequence[float]) -> Change:
    """The best of all steps, and of approaches to a level that begin too far from it: the largest t of them (sup-t)."""
    count = len(values)
    edge = max(2, math.ceil(count / 10))
    steps = [[float(index >= split) for index in range(count)] for split in range(edge, count - edge + 1)]
    approaches = [[1 - math.exp(-index / (count * part)) for index in range(count)] for part in (0.05, 0.1, 0.2)]
    found = [_fitted(values, shape, SHIFT_T) for shape in (*steps, *approaches)]
    return max(found, key=lambda change: change.t)


def _fitted(values: Sequence[float], shape: Sequence[float], critical: float) -> Change:
    """Least squares of the values on a shape from 0 to 1: the change over the window, and the t of its coefficient."""
    count, mean, middle = len(values), fmean(values), fmean(shape)
    centred = [point - middle for point in shape]
    spread = sum(point**2 for point in centred)
    slope = sum(point * (value - mean) for point, value in zip(centred, values, strict=True)) / spread
    residuals = [value - mean - slope * point for point, value in zip(centred, values, strict=True)]
    variance = sum(residual**2 for residual in residuals) / (count - 2) * _inflation(residuals)
    t = abs(slope) / math.sqrt(variance / spread) if variance else math.inf if slope else 0.0
    tenth = max(1, count // 10)
    moved = slope * (fmean(shape[-tenth:]) - fmean(shape[:tenth])) if critical == SHIFT_T else slope
    matters = t >= critical * (1 + SHORT / count) and abs(moved) >= LARGE * mean
    return Change(size=moved / mean if mean else 0.0, t=t, matters=matters)


def backlog_growth(values: Sequence[float], offered: float, completed: int) -> float:
    """Requests by which the backlog of an open loop grew over the window; 0 where that may be an accident.

    What is offered and not yet answered swings in any queue. It grows where it is more at the end by an amount that matters,
    and each slice brought too little on average, by more than the slices' noise allows.

    Args:
        values: answers per 100 ms in equal slices (`gather`).
        offered: requests of the window's schedule, less those that failed.
        completed: answers within the window.
    """
    growth = offered - completed
    if len(values) < FEWEST_SLICES or growth < max(FEWEST_ANSWERS, LARGE_BACKLOG * offered):
        return 0.0
    mean = fmean(values)
    residuals = [value - mean for value in values]
    variance = sum(residual**2 for residual in residuals) / (len(values) - 1) * _inflation(residuals)
    short = mean * growth / completed if completed else math.inf
    return growth if short >= BACKLOG_T * math.sqrt(variance / len(values)) else 0.0


def _inflation(residuals: Sequence[float]) -> float:
    """By how much autocorrelation inflates a variance: (1 + r) / (1 − r); never less than 1."""
    count = len(residuals)
    squares = sum(residual**2 for residual in residuals)
    if not squares:
        return 1.0
    raw = sum(early * late for early, late in pairwise(residuals)) / squares
    corrected = (count * raw + BIAS) / (count - 4)
    bounded = min(max(corrected, 0.0), 0.95)
    return (1 + bounded) / (1 - bounded)
