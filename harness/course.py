"""The course of a run: which trials are run, in which order, and what is decided before each further block."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from harness import store
from harness.analysis.ranking import in_words, rank
from harness.analysis.reading import read_run
from harness.analysis.study import row_of, study_of
from harness.blocks import BlockDecision, always_run, decided, in_block, is_open
from harness.plan import EXPECTED_OVERHEAD_S, Plan, PlannedTrial, estimate_s
from harness.result import TrialResult
from harness.spec.experiment import Repeats


class Course:
    """The trials of a run that are still to come. What it decides depends on stored trials only, and is stored."""

    def __init__(self, run: Path, plan: Plan, done: Iterable[TrialResult], say: Callable[[str], None]) -> None:
        """Begin, or go on with, a run.

        Args:
            run: its folder.
            plan: its plan.
            done: the trials that are not run again.
            say: is told each decision, in a sentence.

        Raises:
            ResultError: its decisions cannot be read.
        """
        self._run, self._plan, self._say = run, plan, say
        self._blocks = store.read_blocks(run)
        planned = {one.id: one for one in plan.trials}
        self._rows = {result.id: row_of(planned[result.id], result) for result in done}
        self._spent_s = {result.id: result.elapsed_s for result in done}
        self._overheads_s = {result.id: result.overhead_s for result in done}

    def __iter__(self) -> Iterator[PlannedTrial]:
        """Each trial to run; `add` what came of it before the next is asked for."""
        while True:
            waiting = [planned for planned in decided(self._plan, self._blocks) if planned.id not in self._rows]
            yield from waiting
            if not is_open(self._plan, self._blocks):
                return
            self._decide()

    def add(self, planned: PlannedTrial, result: TrialResult) -> None:
        """Take what came of a trial into account."""
        self._rows[result.id] = row_of(planned, result)
        self._spent_s[result.id] = result.elapsed_s
        self._overheads_s[result.id] = result.overhead_s

    @property
    def at_most(self) -> int:
        """How many trials the run has if every point that is open stays open."""
        return len(self._rows) + len(self._ahead())

    @property
    def left_s(self) -> float:
        """How long the trials that may still come would take."""
        return self._estimate_s(self._ahead())

    def _ahead(self) -> list[PlannedTrial]:
        kept = list(decided(self._plan, self._blocks))
        if is_open(self._plan, self._blocks):
            last = max(planned.block for planned in kept)
            points = tuple({planned.point for planned in kept if planned.block == last})
            for block in range(last + 1, self._plan.experiment.blocks + 1):
                kept += in_block(self._plan, block, points)
        return [planned for planned in kept if planned.id not in self._rows]

    def _estimate_s(self, trials: Sequence[PlannedTrial]) -> float:
        known = self._overheads_s.values()
        overhead_s = sum(known) / len(known) if known else EXPECTED_OVERHEAD_S
        return estimate_s([planned.trial for planned in trials], overhead_s)

    def _decide(self) -> None:
        """Decide about the next block from all trials before it, and store that before it begins."""
        before = self._blocks.decisions[-1] if self._blocks.decisions else None
        first = always_run(self._plan)
        block = before.block + 1 if before else first + 1
        rows = tuple(self._rows[one.id] for one in self._plan.trials if one.id in self._rows)
        found = rank(study_of(read_run(self._run), rows), first, before.points if before else None)
        trials = in_block(self._plan, block, found.points)
        spent_s, expected_s = sum(self._spent_s.values()), self._estimate_s(trials)
        late = bool(found.points) and _over_budget(self._plan, spent_s + expected_s)
        decision = BlockDecision(
            block=block,
            points=() if late else found.points,
            open=tuple(pair.as_record() for pair in found.open),
            settled={**found.settled, **(before.settled if before else {})},
            ended="budget" if late else None if found.points else "settled",
            spent_s=spent_s,
            estimate_s=expected_s if found.points else 0.0,
        )
        self._blocks = store.commit_decision(self._run, decision)
        store.note(self._run, "block decided", **decision.model_dump(include={"block", "points", "ended"}))
        self._say(in_words(decision))


def _over_budget(plan: Plan, would_take_s: float) -> bool:
    repeats = plan.experiment.repeats
    return isinstance(repeats, Repeats) and repeats.within is not None and would_take_s > repeats.within.s
