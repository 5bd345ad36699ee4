"""Memory per connection as a slope over several numbers of connections held (docs/method.md).

One run gives the growth from its idle server to its plateau. A model's first use of memory (buffers, worker structures)
lies in that growth too, and is spread over few connections or many. Over points that hold different numbers it becomes
the intercept, and what a connection costs is the slope.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.statistics import CONFIDENCE, t_quantile
from harness.analysis.study import Row, Study
from harness.ledger import FEWEST_HELD, held_at

FEWEST_LEVELS = 3
"""Different numbers of connections from which a slope is told: two would fit any line."""


@dataclass(frozen=True)
class Slope:
    """A line through (connections held, memory grown) of every run of a side."""

    side: str
    panel: tuple[str, ...]
    bytes_per_connection: float
    low: float  # the 95 % interval
    high: float
    first_bytes: float  # the intercept: what is paid once
    from_connections: int
    to_connections: int
    runs: int


def memory_slopes(study: Study) -> tuple[Slope, ...]:
    """A slope for each side and panel whose points differ in the connections that they hold, and in nothing else."""
    if study.axes.x != "load.connections":
        return ()
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[float, float]]] = {}
    for point in study.points:
        key = (study.axes.series_of(point.factors), study.axes.panel_of(point.factors))
        groups.setdefault(key, []).extend(pair for row in point.counted if (pair := _grown(row)) is not None)
    fitted = (_fit(side, panel, pairs) for (side, panel), pairs in groups.items())
    return tuple(slope for slope in fitted if slope is not None)


def _grown(row: Row) -> tuple[float, float] | None:
    """Connections held on a run's plateau, and what the server's memory had grown by then, bytes."""
    usage = row.result.usage.get("server") if row.result else None
    trial = row.planned.trial
    broken = trial.handler.fault != "none" or bool(trial.faults)
    if usage is None or usage.idle is None or usage.plateau is None or broken:
        return None
    before, after = held_at(usage.idle), held_at(usage.plateau)
    held, held_idle = usage.plateau.connections, usage.idle.connections
    if before is None or after is None or held is None or held_idle is None or held - held_idle < FEWEST_HELD:
        return None
    return float(held - held_idle), float(after - before)


def _fit(side: str, panel: tuple[str, ...], pairs: Sequence[tuple[float, float]]) -> Slope | None:
    """Least squares, with Student's interval for the slope from the residuals."""
    count = len(pairs)
    levels = {round(held) for held, _ in pairs}
    if len(levels) < FEWEST_LEVELS:
        return None
    mean_held = math.fsum(held for held, _ in pairs) / count
    mean_grown = math.fsum(grown for _, grown in pairs) / count
    spread = math.fsum((held - mean_held) ** 2 for held, _ in pairs)
    slope = math.fsum((held - mean_held) * (grown - mean_grown) for held, grown in pairs) / spread
    first = mean_grown - slope * mean_held
    residuals = math.fsum((grown - first - slope * held) ** 2 for held, grown in pairs)
    error = math.sqrt(residuals / (count - 2) / spread)
    reach = t_quantile((1 + CONFIDENCE) / 2, count - 2) * error
    return Slope(side, panel, slope, slope - reach, slope + reach, first, min(levels), max(levels), count)
