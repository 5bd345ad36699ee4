"""A run, digested: a row per planned trial, a point per combination of levels, means only over runs that count."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from harness.analysis.axes import Axes, choose_axes
from harness.analysis.measures import Values, measure
from harness.analysis.parts import Part, PartEstimate, estimate_parts, parts_of
from harness.analysis.reading import COUNTED, Absent, Found, Run, each_trial, read_run
from harness.analysis.statistics import Estimate, estimate
from harness.plan import PlannedTrial
from harness.result import TrialResult, Verdict
from harness.slo import Assessment, assess
from harness.spec.metrics import METRICS, SUMMARY_METRICS


@dataclass(frozen=True)
class Row:
    """One planned trial with what came of it."""

    planned: PlannedTrial
    state: str  # a State, or "missing", "unreadable"
    reason: str | None
    values: Values
    result: TrialResult | None  # without its histograms, which the values were made from
    parts: tuple[Part, ...] = ()  # of its window, where it had several rates
    slo: Assessment | None = None  # of an open load that has one

    @property
    def counted(self) -> bool:
        """Whether it enters means and comparisons."""
        return self.state in COUNTED


@dataclass(frozen=True)
class Point:
    """The repeats of one combination of levels."""

    id: str
    factors: dict[str, str]
    rows: tuple[Row, ...]
    estimates: dict[str, Estimate | None]  # the metrics of summary.csv
    limited_by: str | None  # who gave out first in most of its trials
    limited_runs: int
    judged_runs: int
    evidence: str
    parts: tuple[PartEstimate, ...] = ()  # of the window, where it had several rates
    also: tuple[str, ...] = ()  # who else could have given out in most of them

    @cached_property
    def counted(self) -> tuple[Row, ...]:
        """Its rows that count, by block."""
        return tuple(row for row in self.rows if row.counted)

    @cached_property
    def states(self) -> Counter[str]:
        """How many of its trials are in which state."""
        return Counter(row.state for row in self.rows)

    @property
    def closed(self) -> bool:
        """Whether its load is a closed loop."""
        return self.rows[0].planned.trial.load.kind == "closed"

    @property
    def saturated(self) -> bool:
        """Whether its percentiles are at saturation: those of a closed loop whose connections never pause."""
        return self.closed and not self.rows[0].planned.trial.load.think.ns

    @property
    def searched(self) -> bool:
        """Whether its trials are searches for capacity."""
        return self.rows[0].planned.trial.load.kind == "capacity"

    @property
    def fault(self) -> str:
        """What one of its requests sets off in the middle of the window; `none`: nothing."""
        return self.rows[0].planned.trial.handler.fault

    @property
    def breaks(self) -> bool:
        """Whether something is broken in its trials on a schedule."""
        return bool(self.rows[0].planned.trial.faults)

    def by_block(self, metric: str) -> dict[int, float]:
        """Values of a metric over the runs that count and carry it, by block."""
        found = {row.planned.block: row.values[metric] for row in self.counted}
        return {block: value for block, value in found.items() if value is not None}


@dataclass(frozen=True)
class Study:
    """Everything the report is made from."""

    run: Run
    axes: Axes
    rows: tuple[Row, ...]  # in the order in which the trials ran
    points: tuple[Point, ...]  # in the order of the spec's levels; the canary is none

    @cached_property
    def canary(self) -> tuple[Row, ...]:
        """The canary's trials, by block."""
        return tuple(row for row in self.rows if row.planned.canary)

    @cached_property
    def finished(self) -> tuple[TrialResult, ...]:
        """The records of the trials that have one, in the order in which they ran."""
        return tuple(row.result for row in self.rows if row.result is not None)

    @cached_property
    def runtimes(self) -> tuple[str, ...]:
        """How the services ran: `docker`, `process`, or both."""
        return tuple(sorted({trial.runtime for trial in self.finished}))

    @cached_property
    def started(self) -> str:
        """Wall clock of the run's start, as stored; empty where nothing says."""
        about = self.run.environment.get("run")
        stated = about.get("started") if isinstance(about, dict) else None
        return str(stated or min((trial.started for trial in self.finished), default=""))


def make_study(folder: Path) -> Study:
    """Read and digest a run.

    Raises:
        ResultError: it has no readable plan, or a trial was stored by a newer version.
    """
    run = read_run(folder)
    return study_of(run, tuple(row_of(planned, found) for planned, found in each_trial(folder, run.plan, run.blocks)))


def study_of(run: Run, rows: tuple[Row, ...]) -> Study:
    """Digest a run from its rows, in the order in which the trials ran; of a run that goes on, those so far."""
    places = {name: {level: at for at, level in enumerate(levels)} for name, levels in run.plan.factors.items()}

    def place(row: Row) -> tuple[object, ...]:
        levels = tuple(places[name].get(row.planned.factors.get(name, ""), 0) for name in places)
        return levels, row.planned.point

    repeated = (row for row in rows if not row.planned.canary)
    ordered = sorted(repeated, key=lambda row: (place(row), row.planned.repeat))
    points = tuple(_point(tuple(group), run.plan.experiment.seed) for _, group in groupby(ordered, key=place))
    return Study(run, choose_axes(run.plan), rows, points)


def row_of(planned: PlannedTrial, found: Found) -> Row:
    """A planned trial with what came of it."""
    if isinstance(found, Absent):
        return Row(planned, found.state, found.reason, dict.fromkeys(METRICS), None)
    client = found.client.model_copy(update={"histograms": {}, "phases": ()}) if found.client else None
    slim = found.model_copy(update={"client": client})
    parts = parts_of(found.client) if found.client else ()
    asked = planned.trial.load.kind == "open" and planned.trial.slo.is_set
    slo = assess(planned.trial.slo, found.client) if found.client and asked else None
    return Row(planned, found.state, found.reason, measure(found), slim, parts, slo)


def _also(verdicts: Sequence[Verdict], first: str | None) -> tuple[str, ...]:
    """Who else could have given out, in most of the trials."""
    tally = Counter(suspect.limited_by for verdict in verdicts for suspect in verdict.also)
    return tuple(culprit for culprit, runs in tally.items() if 2 * runs > len(verdicts) and culprit != first)


def _point(rows: tuple[Row, ...], seed: int) -> Point:
    counted = [row for row in rows if row.counted]
    timeout_us = rows[0].planned.trial.load.timeout.us
    verdicts = [row.result.verdict for row in rows if row.result is not None and row.result.verdict is not None]
    tally = Counter(verdict.limited_by for verdict in verdicts)
    limited_by, runs = tally.most_common(1)[0] if tally else (None, 0)
    return Point(
        id=rows[0].planned.point,
        factors=rows[0].planned.factors,
        rows=rows,
        estimates={
            name: _estimate([row.values[name] for row in counted], seed, timeout_us) for name in SUMMARY_METRICS
        },
        limited_by=limited_by,
        limited_runs=runs,
        judged_runs=len(verdicts),
        evidence=next((verdict.evidence for verdict in verdicts if verdict.limited_by == limited_by), ""),
        also=_also(verdicts, limited_by),
        parts=estimate_parts([row.parts for row in counted if row.parts], seed, timeout_us),
    )


def _estimate(values: Iterable[float | None], seed: int, timeout_us: float) -> Estimate | None:
    """None as soon as one run lacks the value: what a sample cannot carry is mostly the slow runs' values."""
    found = list(values)
    known = [value for value in found if value is not None and not math.isnan(value)]
    return estimate(known, seed, timeout_us) if len(known) == len(found) else None
