"""`harness plan`: what a spec would do, before anything is built or started."""

from collections.abc import Iterator
from pathlib import Path

from harness.plan import EXPECTED_OVERHEAD_S, Plan, estimate_s, make_plan
from harness.spec.document import as_yaml
from harness.spec.experiment import Repeats
from harness.spec.load import load_experiment, load_used_models
from harness.stage import Places
from harness.terminal import clock


def describe_plan(spec: Path, places: Places) -> Iterator[str]:
    """The lines that the verb prints: the complete base trial, the trials in their order, the least and most time.

    Raises:
        SpecError: the spec is wrong.
    """
    experiment = load_experiment(spec, places.images)
    models = load_used_models(experiment, places.images)
    plan = make_plan(experiment, spec.stem, models)
    yield from _base(plan)
    yield from _trials(plan)
    yield _duration(plan)


def _base(plan: Plan) -> Iterator[str]:
    yield f"# {plan.name}: {plan.experiment.title}"
    yield "base:"
    for line in as_yaml(plan.experiment.base.model_dump(mode="json")).splitlines():
        yield f"  {line}"


def _trials(plan: Plan) -> Iterator[str]:
    width = len(str(len(plan.trials)))
    yield f"trials:  # {len(plan.trials)}, in this order"
    for planned in plan.trials:
        yield f"  {planned.order:>{width}}  {planned.id}"


def _duration(plan: Plan) -> str:
    most = _length(plan, plan.experiment.blocks)
    repeats = plan.experiment.repeats
    if not isinstance(repeats, Repeats):
        return f"estimated: {most}{_beside(plan)}"
    within = repeats.within
    budget = f", and beyond the first {repeats.min} no block that would end after {clock(within.s)}" if within else ""
    least = _length(plan, repeats.min)
    return f"estimated: {least} where all is clear by then, at most {most}{budget}{_beside(plan)}"


def _beside(plan: Plan) -> str:
    overhead = f", {EXPECTED_OVERHEAD_S} s of overhead each, once images are built"
    searched = any(planned.trial.load.kind == "capacity" for planned in plan.trials)
    return overhead + ("; a search may take four times as long where chance plays a part" if searched else "")


def _length(plan: Plan, blocks: int) -> str:
    trials = [planned for planned in plan.trials if planned.block <= blocks]
    points = len({planned.point for planned in trials if not planned.canary})
    canary = " and the canary" if any(planned.canary for planned in trials) else ""
    seconds = estimate_s([planned.trial for planned in trials], EXPECTED_OVERHEAD_S)
    return f"{clock(seconds)} ({points} points{canary} x {blocks} repeats = {len(trials)} trials)"
