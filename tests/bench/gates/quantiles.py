"""Quantiles of histograms and of plain values, and the grids that plots show them on."""

from collections.abc import Sequence

import numpy as np

from harness.histogram import Counts, bounds_of, percentile
from tests.bench.gates.record import Line

GRID = (*range(1, 100), 99.2, 99.4, 99.6, 99.8, 99.9, 99.95, 99.99)
"""Percentages at which plots show a distribution."""


def quantile_us(counts: Counts, percent: float) -> float | None:
    """A percentile of a histogram in nanoseconds, in microseconds; None where fewer than 10 values lie beyond it."""
    value = percentile(counts, percent)
    return None if value is None else value / 1e3


def known(counts: Counts, grid: Sequence[float] = GRID) -> dict[float, float]:
    """Percentage: microseconds, wherever the sample carries it."""
    return {percent: value for percent in grid if (value := quantile_us(counts, percent)) is not None}


def of_values(values: Sequence[int], percent: float) -> float | None:
    """A percentile of plain values, in their unit; None where fewer than 10 lie beyond it."""
    if len(values) * (100 - percent) / 100 < 10 - 1e-9:
        return None
    return float(np.quantile(np.asarray(values), percent / 100, method="inverted_cdf"))


def added(delays: Counts, late_ns: Sequence[int], percent: float) -> float | None:
    """What lateness adds to a percentile of delays, in nanoseconds, where the two have nothing to do with each other.

    Args:
        delays: a histogram, ns.
        late_ns: how late something was, each time.
        percent: of the distribution; None where fewer than 10 values lie beyond it.
    """
    values = np.repeat([sum(bounds_of(index)) / 2 for index in delays], list(delays.values()))
    if len(values) * (100 - percent) / 100 < 10 - 1e-9:
        return None
    late = np.random.default_rng(1).choice(np.asarray(late_ns, float), len(values))
    both = np.quantile(values + late, percent / 100, method="inverted_cdf")
    return float(both - np.quantile(values, percent / 100, method="inverted_cdf"))


def line_of(name: str, points: dict[float, float], panel: str = "") -> Line:
    """A distribution as a line: percentages along x, values rounded to what a plot can show."""
    return Line(name=name, panel=panel, x=tuple(points), y=tuple(float(f"{value:.5g}") for value in points.values()))
