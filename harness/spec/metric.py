"""What a metric is."""

from dataclasses import dataclass
from typing import Literal

Unit = Literal["requests/s", "us", "bytes", "share", "count", "requests", "s"]
Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Metric:
    """One number of a trial."""

    name: str  # column of the frames; carries its unit
    title: str  # for people: axes, table heads
    unit: Unit
    better: Better
    definition: str
    summary: bool = False  # has columns `<name>`, `<name>_low`, `<name>_high` in summary.csv
    quantile_of: tuple[str, float] | None = None  # histogram and percentage, where it is a percentile
