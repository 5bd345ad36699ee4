"""The one orchestrator: a spec goes in, stored results and a report come out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import store
from harness.attempts import Attempts
from harness.course import Course
from harness.errors import ResultError, SpecError
from harness.interrupt import Interruptible
from harness.plan import Plan, make_plan
from harness.report import Report, make_report
from harness.result import State, TrialResult
from harness.resume import resumable
from harness.runtime.base import make_owner
from harness.spec.load import load_experiment, load_used_models
from harness.stage import Places, Stage, Wanted, set_stage
from harness.terminal import Display

NAME = re.compile(r"(?!latest$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Settings:
    """How to run, apart from what the spec says."""

    runtime: Wanted = "auto"
    resume: bool = False
    retry: bool = False  # with resume: run failed trials again
    inventory: Path | None = None  # of the hosts to run on; none: this machine


@dataclass
class Outcome:
    """What came of a run."""

    run: Path
    states: dict[str, State] = field(default_factory=dict)
    interrupted: bool = False
    report: Report | None = None


def run_experiment(spec: Path, places: Places, settings: Settings, display: Display) -> Outcome:
    """The road: spec, plan, stage, and for each trial deploy, measure, judge, store; then the report.

    Raises:
        SpecError: the spec is wrong.
        HarnessError: the environment cannot run it; nothing has been started then.
    """
    name = experiment_name(spec)
    spec_text = spec.read_bytes() if spec.is_file() else b""
    experiment = load_experiment(spec, places.images)
    models = load_used_models(experiment, places.images)
    plan = make_plan(experiment, name, models)
    begun = datetime.now(UTC)
    with Interruptible() as interruptible:
        owner = make_owner(f"{plan.name}-{begun:%Y%m%d-%H%M%S}")
        stage = set_stage(
            [planned.trial for planned in plan.trials],
            models,
            places,
            settings.runtime,
            owner,
            display,
            beside=spec.parent,
            inventory=settings.inventory,
        )
        try:
            if spec.read_bytes() != spec_text:
                raise ResultError(f"{spec}: changed while it was being prepared; nothing has run, start again")
            run = resumable(spec_text, plan, places, stage) if settings.resume else None
            run = run or store.create_run(places.results, plan, spec_text, begun, settings.inventory)
            outcome = Outcome(run)
            with store.locked(run), interruptible.stopping_here():
                environment = _settle_environment(run, plan, stage, begun)
                iterations_per_us = environment["calibration"]["iterations_per_us"] or 0.0
                for result in _run_trials(run, plan, stage, iterations_per_us, settings.retry, display):
                    outcome.states[result.id] = result.state
        finally:
            for trouble in stage.close():
                display.say(f"could not be cleaned, the next run does: {trouble}")
        outcome.interrupted = interruptible.interrupted
        with display.stage("report"):
            outcome.report = make_report(run)
    return outcome


def experiment_name(spec: Path) -> str:
    """The name that results go by: the file's name without its ending.

    Raises:
        SpecError: it cannot be a folder's name.
    """
    if not NAME.fullmatch(spec.stem):
        raise SpecError(
            [
                f"{spec}: {spec.stem!r} cannot name an experiment; rename the file: letters, digits, `.`, `_`, `-`, not `latest`"
            ]
        )
    return spec.stem


def _settle_environment(run: Path, plan: Plan, stage: Stage, begun: datetime) -> dict[str, Any]:
    """Write environment.json once; a resumed run keeps its calibration, so that all its trials do the same work."""
    environment = store.read_environment(run)
    if not environment:
        environment = {
            "run": {"id": run.name, "name": plan.name, "started": f"{begun:%Y-%m-%dT%H:%M:%SZ}", "resumed": []},
            "seed": plan.experiment.seed,
            "calibration": {"iterations_per_us": stage.calibrate(plan)},
            **stage.environment(),
        }
    else:
        environment["run"]["resumed"].append(f"{begun:%Y-%m-%dT%H:%M:%SZ}")
    store.write_json(run / "environment.json", environment)
    return environment


def _run_trials(
    run: Path, plan: Plan, stage: Stage, iterations_per_us: float, retry: bool, display: Display
) -> Iterator[TrialResult]:
    """Every trial of the plan that is needed and not there yet, in order; those that are there come first."""
    again = ("void", "failed") if retry else ("void",)
    done = [trial for trial in store.read_trials(run) if trial.state not in again]
    yield from done
    course = Course(run, plan, done, display.say)
    attempts = Attempts(run, stage, iterations_per_us, display, done)
    with display.trials(course.at_most, len(done), course.left_s):
        for planned in course:
            display.trial_begins(planned, course.at_most)
            store.note(run, "trial begins", id=planned.id)
            result = attempts.run(planned)
            store.commit_trial(run, result)
            store.note(run, "trial ends", id=planned.id, state=result.state, reason=result.reason)
            course.add(planned, result)
            display.trial_ends(result, course.left_s)
            yield result
