"""Side against side at one place of the experiment, and what may be said of it.

A place is a level of x within a panel. Sides are the levels of the series factor. The side with the best mean leads;
whether that means anything is said by the ratios to the others, on the log scale, paired by block. A difference has to
be larger than that between two equal sides: the A/A ratio of the canary, by the same metric.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.analysis.canary import canary
from harness.analysis.sequential import rule_for
from harness.analysis.statistics import RUNS_FOR_INTERVAL, RUNS_FOR_VERDICT, Estimate, Ratio, Rule, ratio
from harness.analysis.study import Point, Study
from harness.spec.metrics import METRICS

Outcome = Literal["wins", "leads", "tie", "spread", "alone", "listed"]
"""wins: ahead of every other side, by 5 blocks or more; leads: the same by 3 or 4 blocks, no verdict; tie: at least
one other side cannot be told from it; spread: too few blocks for an interval; alone: nothing to compare with; listed:
side by side and no ratio, as nothing is the best of it, such as of what a fault took with it."""

ENDING = ("crash", "exit")
"""Faults that end a process: what they take with them are connections. The others stop it, and connections only wait."""
BREAKING = (*ENDING, "hang", "deadlock")
"""Faults after which a part of the server, or all of it, answers no more: what is left of the window compares nothing."""
SEARCHED = ("capacity_rps", "capacity_high_rps")
"""Metrics as coarse as a search's resolution."""

DAMAGE = ("connections_lost", "error_count", "missed_answers")
"""What they take with them."""


@dataclass(frozen=True)
class Against:
    """The leading side over one other."""

    side: str
    ratio: Ratio | None  # None where a run holds no finite value above 0

    def behind(self, better: str) -> bool:
        """Whether the interval says that this side is behind the leader, by more than A/A came apart."""
        if self.ratio is None or not self.ratio.differs:
            return False
        return self.ratio.ratio > 1 if better == "higher" else self.ratio.ratio < 1


@dataclass(frozen=True)
class Comparison:
    """All sides at one place, by one metric."""

    panel: tuple[str, ...]
    x: str | None  # label of the level
    metric: str
    leader: str
    point: Point
    estimate: Estimate
    others: tuple[Against, ...]  # best mean first
    empty: tuple[str, ...]  # sides of which no run counts, or one that does lacks the metric
    outcome: Outcome
    sides: tuple[tuple[str, Point, Estimate], ...]  # all that carry the metric, the leader first

    @property
    def blocks(self) -> int:
        """Fewest blocks that any of the ratios rests on."""
        return min((other.ratio.blocks for other in self.others if other.ratio), default=0)

    @property
    def level_with(self) -> tuple[Against, ...]:
        """The others that cannot be told from the leader."""
        better = METRICS[self.metric].better
        return tuple(other for other in self.others if other.ratio and not other.behind(better))


def primary_metric(points: Sequence[Point], wanted: str | None = None) -> str:
    """What an experiment is about: throughput in a closed loop, the tail of the response time in an open one, capacity in a search.

    Or what its spec wants, where any run that counts carries it.

    With a fault that breaks something it is neither, but what the fault took with it: connections, where it ends a
    process and they are kept; else requests. With faults on a schedule it is the time to recover, where all came back.
    """
    counted = [point for point in points if point.counted]
    if wanted is not None and any(point.estimates[wanted] for point in counted):
        return wanted
    if broken := [point for point in counted if point.breaks]:
        back = all(point.estimates["time_to_recover_s"] for point in broken)
        return "time_to_recover_s" if back else "error_count"
    faults = {point.fault for point in points}
    if faults & set(BREAKING):
        ended = faults <= {*ENDING, "none"} and all(point.estimates["connections_lost"] for point in counted)
        return "connections_lost" if ended else "error_count"
    if any(point.closed for point in points):
        return "throughput_rps"
    if any(point.searched for point in points):
        return "capacity_rps"
    carried = all(point.estimates["response_p99_us"] for point in points if point.counted)
    return "response_p99_us" if carried else "response_p50_us"


Place = tuple[tuple[str, ...], str | None]
"""Panel, and label of the level of x."""


def compare(study: Study) -> tuple[Comparison, ...]:
    """Every place where at least one side has a run that counts, in the order of panels and of x."""
    found = (_compare(study, *where, points) for where, points in places(study).items())
    return tuple(comparison for comparison in found if comparison is not None)


def places(study: Study) -> dict[Place, list[Point]]:
    """The sides at each place, in the order of panels and of x."""
    axes = study.axes

    found: dict[Place, list[Point]] = {}
    for point in sorted(study.points, key=lambda p: (_panel_order(study, p), axes.x_of(p.factors) or 0)):
        x = point.factors[axes.x] if axes.x else None
        found.setdefault((axes.panel_of(point.factors), x), []).append(point)
    return found


def _panel_order(study: Study, point: Point) -> tuple[int, ...]:
    levels = study.run.plan.factors
    return tuple(levels[name].index(point.factors[name]) for name in study.axes.panels)


def _compare(study: Study, panel: tuple[str, ...], x: str | None, points: list[Point]) -> Comparison | None:
    metric = primary_metric(points, study.run.plan.experiment.metric)
    better = METRICS[metric].better
    sides = [(point, found) for point in points if (found := point.estimates[metric]) is not None]
    if not sides:
        return None
    sides.sort(key=lambda side: (side[1].at_least, -side[1].mean if better == "higher" else side[1].mean))
    (leader, best), rest = sides[0], sides[1:]
    rule = rule_at(study, metric, len(points))
    others = tuple(
        Against(study.axes.series_of(point.factors), ratio_of(study, leader, point, metric, rule)) for point, _ in rest
    )
    empty = tuple(study.axes.series_of(point.factors) for point in points if point.estimates[metric] is None)
    name = study.axes.series_of(leader.factors)
    listed = ranks_nobody(metric) or (bool(others) and not best.mean)
    outcome = "listed" if listed else _outcome(others, better)
    named = tuple((study.axes.series_of(point.factors), point, found) for point, found in sides)
    return Comparison(panel, x, metric, name, leader, best, others, empty, outcome, named)


def ranks_nobody(metric: str) -> bool:
    """Whether sides are only listed by it."""
    return metric in DAMAGE


def rule_at(study: Study, metric: str, sides: int) -> Rule:
    """How sure a ratio has to be at a place with so many sides, and how large."""
    equal = canary(study, metric)
    bound = max(equal.bound if equal else 0.0, _grain(study, metric))
    return rule_for(study.run.plan.experiment, sides, bound)


def _grain(study: Study, metric: str) -> float:
    """What searches for capacity cannot tell apart, natural logarithm: they try the same rates, one resolution from each other."""
    if metric not in SEARCHED:
        return 0.0
    loads = (point.rows[0].planned.trial.load for point in study.points if point.searched)
    return max((math.log1p(load.resolution.fraction) for load in loads), default=0.0)


def ratio_of(study: Study, one: Point, other: Point, metric: str, rule: Rule) -> Ratio | None:
    """One side over another, over the blocks that hold a run of both that counts."""
    first, second = one.by_block(metric), other.by_block(metric)
    pairs = [(first[block], second[block]) for block in sorted(first.keys() & second.keys())]
    return ratio(pairs, study.run.plan.experiment.seed, rule)


def _outcome(others: Sequence[Against], better: str) -> Outcome:
    ratios = [other.ratio for other in others if other.ratio is not None]
    if not ratios:
        return "alone"
    blocks = min(found.blocks for found in ratios)
    if blocks < RUNS_FOR_INTERVAL:
        return "spread"
    if not all(other.behind(better) for other in others if other.ratio is not None):
        return "tie"
    return "wins" if blocks >= RUNS_FOR_VERDICT else "leads"
