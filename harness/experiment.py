"""The one orchestrator: a spec goes in, stored results and a report come out."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import store
from harness.deploy import server_up
from harness.errors import ResultError, TrialError
from harness.interrupt import Interruptible
from harness.measure import Measured, measure
from harness.plan import EXPECTED_OVERHEAD_S, Plan, PlannedTrial, estimate_s, make_plan
from harness.report import write_report
from harness.result import State, TrialResult
from harness.runtime.base import make_owner
from harness.spec.load import load_experiment, load_used_models
from harness.stage import Places, Stage, Wanted, set_stage
from harness.terminal import Display
from harness.verdict import Evidence, judge


@dataclass(frozen=True)
class Settings:
    """How to run, apart from what the spec says."""

    runtime: Wanted = "auto"
    resume: bool = False
    retry: bool = False


@dataclass
class Outcome:
    """What came of a run."""

    run: Path
    report: Path | None = None
    states: dict[str, State] = field(default_factory=dict)
    interrupted: bool = False


def run_experiment(spec: Path, places: Places, settings: Settings, display: Display) -> Outcome:
    """The road: spec, plan, stage, and for each trial deploy, measure, judge, store; then the report.

    Raises:
        SpecError: the spec is wrong.
        HarnessError: the environment cannot run it; nothing has been started then.
    """
    experiment = load_experiment(spec, places.images)
    models = load_used_models(experiment, places.images)
    plan = make_plan(experiment, spec.stem, models)
    begun = datetime.now(UTC)
    with Interruptible() as interruptible:
        owner = make_owner(f"{plan.name}-{begun:%Y%m%d-%H%M%S}")
        stage = set_stage([planned.trial for planned in plan.trials], models, places, settings.runtime, owner, display)
        try:
            run = _resumed(spec, plan, places, stage) if settings.resume else None
            run = run or store.create_run(places.results, plan, spec.read_bytes(), begun)
            outcome = Outcome(run)
            with store.locked(run), interruptible.stopping_here():
                environment = _settle_environment(run, plan, stage, begun)
                iterations_per_us = environment["calibration"]["iterations_per_us"] or 0.0
                for result in _run_trials(run, plan, stage, iterations_per_us, settings.retry, display):
                    outcome.states[result.id] = result.state
        finally:
            stage.runtime.clean()
        outcome.interrupted = interruptible.interrupted
        with display.stage("report"):
            outcome.report = write_report(run)
    return outcome


def _resumed(spec: Path, plan: Plan, places: Places, stage: Stage) -> Path:
    """The newest unfinished run, if it is a run of just this.

    Raises:
        ResultError: there is none, or spec, plan, runtime or images have changed since.
    """
    unfinished = [run for run in store.runs_of(places.results, plan.name) if not _is_finished(run)]
    if not unfinished:
        raise ResultError(f"{plan.name}: no unfinished run to resume; run it without RESUME=1")
    run = unfinished[-1]
    environment = store.read_environment(run)
    measured = {"runtime": stage.runtime.name, "images": dict(stage.digests)}
    stored = {"runtime": environment.get("runtime", {}).get("name"), "images": environment.get("images")}
    changed = [
        what
        for what, differs in {
            "the spec": (run / "spec.yaml").read_bytes() != spec.read_bytes(),
            "the plan": store.read_plan(run) != plan,
            "the runtime": bool(environment) and stored["runtime"] != measured["runtime"],
            "an image": bool(environment) and stored["images"] != measured["images"],
        }.items()
        if differs
    ]
    if changed:
        raise ResultError(f"{run}: cannot be resumed, {' and '.join(changed)} changed since; start a new run")
    return run


def _is_finished(run: Path) -> bool:
    states = [trial.state for trial in store.read_trials(run)]
    return len(states) == len(store.read_plan(run).trials) and "failed" not in states


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
    """Every trial of the plan that is not there yet, in order; those that are there come first."""
    stored = {trial.id: trial for trial in store.read_trials(run)}
    done = {name: trial for name, trial in stored.items() if not (retry and trial.state == "failed")}
    yield from done.values()
    to_run = [planned for planned in plan.trials if planned.id not in done]
    overheads_s = [trial.overhead_s for trial in done.values()]
    with display.trials(plan, len(done), _left_s(to_run, overheads_s)):
        for number, planned in enumerate(to_run, start=1):
            display.trial_begins(planned)
            store.note(run, "trial begins", id=planned.id)
            result = _run_trial(run, planned, stage, iterations_per_us, display)
            store.commit_trial(run, result)
            store.note(run, "trial ends", id=planned.id, state=result.state, reason=result.reason)
            overheads_s.append(result.overhead_s)
            display.trial_ends(result, _left_s(to_run[number:], overheads_s))
            yield result


def _left_s(to_run: Sequence[PlannedTrial], overheads_s: Sequence[float]) -> float:
    overhead_s = sum(overheads_s) / len(overheads_s) if overheads_s else EXPECTED_OVERHEAD_S
    return estimate_s([planned.trial for planned in to_run], overhead_s)


def _run_trial(
    run: Path, planned: PlannedTrial, stage: Stage, iterations_per_us: float, display: Display
) -> TrialResult:
    """Deploy, measure, judge: one record, whatever happens to the trial."""
    trial, model = planned.trial, stage.models[planned.trial.model]
    started, begun_s = datetime.now(UTC), time.monotonic()
    folder = store.begin_trial(run, planned.id)
    cores = stage.cores(trial)
    os.sched_setaffinity(0, cores.client)  # the harness itself stays off the server's cores
    judgement: dict[str, Any]
    try:
        with server_up(stage.runtime, planned.id, trial, cores.server, iterations_per_us) as deployed:
            measured = measure(
                stage.runtime,
                deployed,
                name=planned.id,
                trial=trial,
                cores=cores,
                exact=model.counts == "exact",
                on_tick=display.tick,
            )
        evidence = Evidence(
            trial=trial,
            concurrency=model.concurrency,
            client=measured.client,
            server=measured.server,
            proving_requests=deployed.proving_requests,
            usage={"server": measured.server_usage},
        )
        checks, verdict, state, reason = judge(evidence)
        _store_raw(folder, measured)
        judgement = {
            "state": state,
            "reason": reason,
            "client": measured.client,
            "server": measured.server,
            "usage": {"server": measured.server_usage},
            "checks": checks,
            "verdict": verdict,
        }
    except TrialError as error:
        judgement = {
            "state": "failed",
            "reason": str(error),
            "client": None,
            "server": None,
            "usage": {},
            "checks": (),
            "verdict": None,
        }
    elapsed_s = time.monotonic() - begun_s
    return TrialResult(
        **planned.model_dump(include={"id", "point", "repeat", "block", "order", "factors"}),
        trial=trial,
        runtime=stage.runtime.name,
        started=f"{started:%Y-%m-%dT%H:%M:%S}.{started.microsecond // 1000:03}Z",
        elapsed_s=elapsed_s,
        overhead_s=elapsed_s - trial.load.warmup.s - trial.load.window.s,
        **judgement,
    )


def _store_raw(folder: Path, measured: Measured) -> None:
    store.write_atomically(folder / "clients" / "0.json", measured.client.model_dump_json(indent=1).encode())
    for service, samples in measured.samples.items():
        store.write_samples(folder / "probes" / f"{service}.parquet", samples)
    for service, text in measured.logs.items():
        store.write_atomically(folder / "logs" / f"{service}.log", text.encode())
