"""Which points still have to be repeated: those whose order against a side at the same place is open.

Every two sides at a place are a pair. A pair is settled when its ratio's interval excludes 1 by more than the A/A ratio
does, or lies within what can matter no more: the larger of the A/A ratio's distance from 1 and 1 %. A point is done when
all its pairs are, and stays done.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations
from math import expm1
from typing import Literal

from harness.analysis.compare import places, primary_metric, ranks_nobody, ratio_of, rule_at
from harness.analysis.statistics import Ratio, Rule
from harness.analysis.study import Point, Study
from harness.blocks import BlockDecision, OpenPair, Settled

MATTERS = 0.01
"""Differences up to 1 % are a tie, once they are known to be no larger."""


@dataclass(frozen=True)
class Pair:
    """Two sides at one place, with what is known of their order."""

    one: Point
    other: Point
    metric: str
    ratio: Ratio | None
    settled: Settled | None  # None: open

    def as_record(self) -> OpenPair:
        """For `blocks.json`."""
        found = self.ratio
        return OpenPair(
            one=self.one.id,
            other=self.other.id,
            metric=self.metric,
            blocks=found.blocks if found else 0,
            ratio=found.ratio if found else None,
            low=found.low if found else None,
            high=found.high if found else None,
        )


@dataclass(frozen=True)
class Ranking:
    """Where a run stands."""

    open: tuple[Pair, ...]
    settled: dict[str, Settled]  # point: why

    @property
    def points(self) -> tuple[str, ...]:
        """The points that are still open, each once."""
        return tuple(dict.fromkeys(point.id for pair in self.open for point in (pair.one, pair.other)))


def rank(study: Study, first: int, candidates: Collection[str] | None = None) -> Ranking:
    """Where the run stands by the trials that there are.

    Args:
        study: a run, or as much of it as there is.
        first: blocks that a pair must have in common before it is judged.
        candidates: points that were repeated in the last block; the others are done whatever the numbers say. None: all.
    """
    pairs = [pair for points in places(study).values() for pair in _pairs(study, points, first)]
    still = {point.id for point in study.points} if candidates is None else set(candidates)
    left = tuple(pair for pair in pairs if pair.settled is None and {pair.one.id, pair.other.id} <= still)
    waiting = {point.id for pair in left for point in (pair.one, pair.other)}
    return Ranking(left, {point.id: _why(point, pairs) for point in study.points if point.id not in waiting})


def _pairs(study: Study, points: list[Point], first: int) -> Iterator[Pair]:
    metric = primary_metric(points, study.run.plan.experiment.metric)
    rule = rule_at(study, metric, len(points))
    for one, other in combinations(points, 2):
        found = None if ranks_nobody(metric) else ratio_of(study, one, other, metric, rule)
        yield Pair(one, other, metric, found, _settled(one, other, metric, found, first, rule))


def _settled(one: Point, other: Point, metric: str, found: Ratio | None, first: int, rule: Rule) -> Settled | None:
    if ranks_nobody(metric):
        return "no ratio"
    values = [point.by_block(metric) for point in (one, other)]
    if not all(values):
        return "no run counts"
    if found is None:
        return "no ratio" if values[0].keys() & values[1].keys() else None
    return order(found, first, rule)


def order(found: Ratio, first: int, rule: Rule) -> Literal["ranked", "equal"] | None:
    """What one look says of two sides; None: their order is open.

    Args:
        found: their ratio, by `rule`.
        first: blocks below which nothing is judged.
        rule: how sure it has to be, and the A/A ratio's distance from 1.
    """
    if found.blocks < first:
        return None
    if found.differs:
        return "ranked"
    return "equal" if found.within(max(MATTERS, expm1(rule.bound))) else None


def _why(point: Point, pairs: list[Pair]) -> Settled:
    """The strongest thing that can be said of a point that is done."""
    mine: list[Settled | None] = [pair.settled for pair in pairs if point.id in (pair.one.id, pair.other.id)]
    order: tuple[Settled, ...] = ("equal", "ranked", "no ratio", "no run counts")
    return next((reason for reason in order if reason in mine), "no rival")


def in_words(decision: BlockDecision) -> str:
    """A decision in a sentence, without its end."""
    after = f"after block {decision.block - 1}"
    waiting = {name for pair in decision.open for name in (pair.one, pair.other)}
    points = f"{len(waiting)} of {len(waiting) + len(decision.settled)} points"
    if decision.ended == "budget":
        return f"{after} the place of {points} is open, and the time budget allows no further block"
    if decision.ended == "settled":
        tally = Counter(decision.settled.values())
        return f"{after} nothing is open: {', '.join(f'{n} {_WORDS[why]}' for why, n in sorted(tally.items()))}"
    return (
        f"{after} the place of {points} is open: block {decision.block} repeats {'it' if len(waiting) == 1 else 'them'}"
    )


_WORDS: dict[Settled, str] = {
    "ranked": "ranked",
    "equal": "level with another",
    "no rival": "without a rival",
    "no ratio": "that no ratio ranks",
    "no run counts": "without a run that counts, theirs or a rival's",
}
