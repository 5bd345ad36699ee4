"""The canary: the first point, measured twice in every block (A/A). What its two runs differ by, no model has caused.

Its ratio bounds what may be called a difference; how its value moves over the blocks is the drift of the machine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.sequential import rule_for
from harness.analysis.statistics import RUNS_FOR_VERDICT, Ratio, ratio, t_quantile
from harness.analysis.study import Point, Study


@dataclass(frozen=True)
class Drift:
    """How the canary's value moved over the blocks."""

    least: float
    most: float
    blocks: int  # that have a value
    trend: float | None  # last over first block, along a straight line through the logarithms; None below 5 blocks
    low: float | None  # its 95 % interval
    high: float | None

    @property
    def spread(self) -> float:
        """Largest over smallest."""
        return self.most / self.least

    @property
    def is_trend(self) -> bool:
        """Whether the interval says that it moved one way."""
        return self.low is not None and self.high is not None and not self.low <= 1 <= self.high


@dataclass(frozen=True)
class Canary:
    """A/A by one metric."""

    metric: str
    point: Point  # that it is a second trial of
    ratio: Ratio | None  # canary over its point; None where no block holds a run of both that can be compared
    drift: Drift | None  # None where it has fewer than 2 values, or one that is not a number above 0

    @property
    def bound(self) -> float:
        """The ratio's distance from 1, on the natural logarithm; 0 where there is none."""
        return abs(math.log(self.ratio.ratio)) if self.ratio else 0.0


def canary(study: Study, metric: str) -> Canary | None:
    """A/A by a metric; None where the plan has no canary."""
    rows = study.canary
    if not rows:
        return None
    point = next(point for point in study.points if point.factors == rows[0].planned.factors)
    found = {row.planned.block: row.values[metric] for row in rows if row.counted}
    values = {block: value for block, value in found.items() if value is not None}
    of_point = point.by_block(metric)
    pairs = [(values[block], of_point[block]) for block in sorted(values.keys() & of_point.keys())]
    experiment = study.run.plan.experiment
    return Canary(metric, point, ratio(pairs, experiment.seed, rule_for(experiment)), _drift(values))


def _drift(values: dict[int, float]) -> Drift | None:
    if len(values) < 2 or not all(math.isfinite(value) and value > 0 for value in values.values()):
        return None
    blocks = sorted(values)
    logs = [math.log(values[block]) for block in blocks]
    least, most = min(values.values()), max(values.values())
    if len(blocks) < RUNS_FOR_VERDICT:
        return Drift(least, most, len(blocks), None, None, None)
    rise, reach = _line(blocks, logs)
    return Drift(least, most, len(blocks), math.exp(rise), math.exp(rise - reach), math.exp(rise + reach))


def _line(blocks: Sequence[int], logs: Sequence[float]) -> tuple[float, float]:
    """Rise of the least-squares line from the first block to the last, and half its 95 % interval."""
    count, length = len(blocks), blocks[-1] - blocks[0]
    middle, mean = sum(blocks) / count, math.fsum(logs) / count
    spread = math.fsum((block - middle) ** 2 for block in blocks)
    slope = math.fsum((block - middle) * (log - mean) for block, log in zip(blocks, logs, strict=True)) / spread
    left = [log - mean - slope * (block - middle) for block, log in zip(blocks, logs, strict=True)]
    error = math.sqrt(math.fsum(residual**2 for residual in left) / (count - 2) / spread)
    return slope * length, t_quantile(0.975, count - 2) * error * length
