"""Which blocks of a plan are run, where it depends on what the blocks before them have shown. Pure.

A plan lists all blocks up to the most. Up to `repeats.min` they are always run; before each further one it is decided
which points are repeated in it, and the decision is stored (`blocks.json`) before the block begins. What is stored
is never decided again: an interrupted run goes on as it would have.
"""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from harness.plan import Plan, PlannedTrial
from harness.spec.experiment import Repeats
from harness.spec.record import Record

Settled = Literal["ranked", "equal", "no rival", "no ratio", "no run counts"]
"""Why two sides, or a point, need no further repeat. ranked: the order is known; equal: the ratio's interval lies within
what can matter; no rival: nothing to compare with; no ratio: the metric ranks nobody, or a run is zero or beyond the
timeout; no run counts: more of the same says nothing."""


class OpenPair(Record):
    """Two sides whose order was still open."""

    one: str = Field(description="Point.")
    other: str = Field(description="Point at the same place.")
    metric: str = Field(description="By which they are compared.")
    blocks: int = Field(description="That hold a run of both that counts.")
    ratio: float | None = Field(description="Of `one` over `other`; none where no block holds both.")
    low: float | None = Field(description="The interval's lower end, at the level of one look; none below 3 blocks.")
    high: float | None = Field(description="Its upper end.")


class BlockDecision(Record):
    """What was decided before a block."""

    block: int = Field(ge=2, description="The block that it is about.")
    points: tuple[str, ...] = Field(
        description="Points that are repeated in it, beside the canary; none: the run ends before it."
    )
    open: tuple[OpenPair, ...] = Field(description="Why: the pairs of sides whose order was open.")
    settled: dict[str, Settled] = Field(description="Point that is not repeated any more: why.")
    ended: Literal["settled", "budget"] | None = Field(
        description="Why the run ends before it: nothing is open, or the block would end after `within`."
    )
    spent_s: float = Field(description="Time that the trials so far took.")
    estimate_s: float = Field(description="Time that the block was expected to take.")


class Blocks(Record):
    """`blocks.json`: the decisions about all blocks beyond `repeats.min`, in their order."""

    format: Literal[1] = Field(1, description="Version of this record.")
    decisions: tuple[BlockDecision, ...] = Field((), description="One before each block.")

    def about(self, block: int) -> BlockDecision | None:
        """What was decided about a block; None where nothing was, yet."""
        return next((decision for decision in self.decisions if decision.block == block), None)

    @property
    def ended(self) -> BlockDecision | None:
        """The decision to end; None where there is none."""
        return next((decision for decision in self.decisions if decision.ended), None)


def always_run(plan: Plan) -> int:
    """How many blocks are run in any case."""
    repeats = plan.experiment.repeats
    return repeats.min if isinstance(repeats, Repeats) else repeats


def in_block(plan: Plan, block: int, points: tuple[str, ...] | None = None) -> list[PlannedTrial]:
    """The trials of a block in their order: all of them, or those of some points, and the canary."""
    return [
        planned
        for planned in plan.trials
        if planned.block == block and (points is None or planned.canary or planned.point in points)
    ]


def decided(plan: Plan, blocks: Blocks) -> Iterator[PlannedTrial]:
    """Every trial that is known to be run, in order; others may follow as long as `is_open`."""
    first = always_run(plan)
    chosen = {decision.block: set(decision.points) for decision in blocks.decisions}
    for planned in plan.trials:
        points = chosen.get(planned.block, ())
        if planned.block <= first or planned.point in points or (planned.canary and points):
            yield planned


def is_open(plan: Plan, blocks: Blocks) -> bool:
    """Whether a further block may follow those that are decided."""
    last = max((decision.block for decision in blocks.decisions), default=always_run(plan))
    return last < plan.experiment.blocks and blocks.ended is None


def not_needed(plan: Plan, blocks: Blocks) -> set[str]:
    """Ids of the trials that were decided not to run."""
    kept = {planned.id for planned in decided(plan, blocks)}
    last = max((decision.block for decision in blocks.decisions), default=0)
    beyond = plan.experiment.blocks if blocks.ended else last
    return {planned.id for planned in plan.trials if planned.block <= beyond and planned.id not in kept}
