"""Runs that lie far from the others of their point: named, and kept in every mean.

By the modified z-score, 0.6745 (x - median) / MAD, beyond 3.5 (B. Iglewicz, D. C. Hoaglin, How to detect and handle
outliers, ASQC 1993). Where more than half of the runs are equal the MAD is 0, and 1.253314 times the mean absolute
deviation stands for its 1.4826 MAD, as there. With fewer than 5 runs no rule tells an outlier from a spread.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from harness import readings
from harness.analysis.compare import places, primary_metric
from harness.analysis.study import Row, Study

FEWEST_RUNS = 5
FAR = 3.5
SHOWN = 0.005
"""Steal below this rounds to nothing."""


@dataclass(frozen=True)
class Outlier:
    """One run far from the others of its point."""

    trial: str
    metric: str
    value: float
    median: float  # of all runs of the point
    score: float  # modified z-score
    failed: str  # the trial's checks that did, in words
    seen: str  # by the probe: who else was on the cores


def outliers(study: Study) -> tuple[Outlier, ...]:
    """Every run that lies far from the others of its point, or the canary's, by the metric that is compared there."""
    return tuple(_each(study))


def _each(study: Study) -> Iterator[Outlier]:
    wanted = study.run.plan.experiment.metric
    for points in places(study).values():
        metric = primary_metric(points, wanted)
        for point in points:
            yield from _among(point.counted, metric)
        if any(point.factors == row.planned.factors for row in study.canary[:1] for point in points):
            yield from _among([row for row in study.canary if row.counted], metric)


def _among(rows: Sequence[Row], metric: str) -> Iterator[Outlier]:
    known = [(row, value) for row in rows if (value := row.values[metric]) is not None and math.isfinite(value)]
    middle = median(value for _, value in known) if known else 0.0
    for (row, value), score in zip(known, scores([value for _, value in known]), strict=True):
        if abs(score) > FAR:
            yield Outlier(row.planned.id, metric, value, middle, score, _failed(row), _seen(row))


def scores(values: Sequence[float]) -> list[float]:
    """The modified z-score of each value; zeros with fewer than 5."""
    if len(values) < FEWEST_RUNS:
        return [0.0] * len(values)
    middle = median(values)
    distances = [abs(value - middle) for value in values]
    deviation = median(distances) / 0.6745 or fmean(distances) * 1.253314
    return [(value - middle) / deviation if deviation else 0.0 for value in values]


def _failed(row: Row) -> str:
    checks = row.result.checks if row.result else ()
    return (
        f"failed: {', '.join(names)}" if (names := [c.name for c in checks if c.passed is False]) else "no check failed"
    )


def _seen(row: Row) -> str:
    """What the probe says of the cores in a run's window."""
    if row.result is None:
        return ""
    server, client = row.result.cores.get("server"), row.result.cores.get("client")
    usage, said = row.result.usage.get("server"), []
    if server is not None and server.stolen >= SHOWN:
        said.append(f"a hypervisor took {server.stolen:.0%} of the server's cores")
    if server is not None and usage is not None:
        said.append(f"others {max(0.0, server.busy - readings.cpu_utilisation(usage)):.0%} of the server's cores")
    if client is not None:
        said.append(f"the client's {client.busy:.0%} busy")
    return ", ".join(said)
