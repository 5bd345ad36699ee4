"""`harness plan`: what a spec would do, before anything is built or started."""

from collections.abc import Iterator
from pathlib import Path

from harness.plan import EXPECTED_OVERHEAD_S, Plan, estimate_s, make_plan
from harness.spec.document import as_yaml
from harness.spec.load import load_experiment, load_used_models
from harness.stage import Places
from harness.terminal import clock


def describe_plan(spec: Path, places: Places) -> Iterator[str]:
    """The lines that the verb prints: the complete base trial, the trials in their order, the duration.

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
    points, repeats = len({planned.point for planned in plan.trials}), plan.experiment.blocks
    seconds = estimate_s([planned.trial for planned in plan.trials], EXPECTED_OVERHEAD_S)
    total = f"{points} points x {repeats} repeats = {len(plan.trials)} trials"
    return f"estimated: {clock(seconds)} ({total}, {EXPECTED_OVERHEAD_S} s of overhead each), once images are built"
