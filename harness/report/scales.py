"""Axes: from zero or logarithmic, with ends and ticks that people read easily."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

DECADES_FOR_LOG = 1.5
"""Decades that values must span before their axis is logarithmic."""


@dataclass(frozen=True)
class Axis:
    """A quantitative axis."""

    title: str
    domain: tuple[float, float]
    log: bool
    ticks: tuple[float, ...] = ()  # empty: chosen by the drawing


def axis_over(title: str, values: Sequence[float]) -> Axis:
    """From zero, or logarithmic where the values span decades."""
    low, high = min(values), max(values)
    if low > 0 and math.log10(high / low) >= DECADES_FOR_LOG:
        return log_axis(title, low, high)
    return Axis(title, (0.0, short(high * 1.06) or 1.0), log=False)


def log_axis(title: str, low: float, high: float) -> Axis:
    """Logarithmic, with ticks at 1, 2, 5 of each decade, or at 1 where there are many."""
    low, high = short(low / 1.3), short(high * 1.3)
    steps = (1, 2, 5) if math.log10(high / low) < 3 else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [short(step * 10.0**decade) for decade in decades for step in steps]
    return Axis(title, (low, high), log=True, ticks=tuple(tick for tick in ticks if low <= tick <= high))


def short(value: float) -> float:
    """Six significant digits: what a chart can show."""
    return float(f"{value:.6g}")
