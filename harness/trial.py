"""One trial, from a server that is not there to a record: deploy, measure, judge, store what came raw."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from harness import store
from harness.backend import CORES as BACKEND_CORES
from harness.backend import backend_up
from harness.clients import plan_client
from harness.deploy import Deployed, server_up
from harness.errors import TrialError
from harness.events import Tick
from harness.foreign import image_up, measure_from_outside, reach
from harness.judging.evidence import Evidence, Side
from harness.judging.verdict import judge
from harness.measure import Job, Take, finish, keep_logs, measure, observe
from harness.plan import PlannedTrial
from harness.result import CoreLoad, ServiceUsage, TrialResult, Verdict
from harness.search import search_capacity, search_doubt
from harness.spec.catalogue import workers_of
from harness.spec.experiment import Trial
from harness.spec.foreign import ReadyImage, RunningServer
from harness.stage import Stage
from harness.usage import client_usage, core_loads, usage_of


def run_trial(
    run: Path,
    planned: PlannedTrial,
    stage: Stage,
    iterations_per_us: float,
    on_tick: Callable[[Tick], None],
    at_least: int = 1,
    on_step: Callable[[str], None] = lambda _what: None,
) -> TrialResult:
    """One record, whatever happens to the trial: what came before it broke is kept and stored.

    Args:
        run: the run's folder; the trial's raw reports go there.
        planned: the trial.
        stage: where it runs.
        iterations_per_us: calibration of the CPU work.
        on_tick: told about progress.
        at_least: client processes that it is known to need.
        on_step: told what a search for capacity tries next.
    """
    trial, model = planned.trial, stage.model_of(planned.trial)
    started, begun_s = datetime.now(UTC), time.monotonic()
    folder = store.begin_trial(run, planned.id)
    exact = model is not None and model.counts == "exact"
    client = plan_client(trial, stage.room, at_least)
    job = Job(planned.id, trial, stage.cores(trial), exact, on_tick, client=client, on_step=on_step)
    os.sched_setaffinity(0, job.cores.client)  # the harness itself stays off the server's cores
    take, trouble = Take(), None
    try:
        _deploy_and_measure(job, stage, iterations_per_us, take)
    except TrialError as error:
        trouble = str(error)
    elapsed_s = time.monotonic() - begun_s
    _store_raw(folder, take)
    return TrialResult(
        **planned.model_dump(include={"id", "point", "repeat", "block", "order", "factors"}),
        trial=trial,
        runtime=stage.runtime.name,
        started=f"{started:%Y-%m-%dT%H:%M:%S}.{started.microsecond // 1000:03}Z",
        elapsed_s=elapsed_s,
        overhead_s=elapsed_s - _loaded_s(trial, take),
        clients=client.processes,
        capacity=take.capacity,
        client=take.client,
        servers={"server": take.server} if take.server is not None else {},
        backend=take.backend,
        fault=take.fault,
        notes=tuple(take.notes),
        **_judgement(job, take, stage, trouble),
    )


def _loaded_s(trial: Trial, take: Take) -> float:
    """Warm-up and window; of a search, those of all its steps."""
    if take.capacity is None:
        return trial.load.warmup.s + trial.load.window.s
    return sum(trial.load.warmup.s + step.window_s for step in take.capacity.steps)


def _deploy_and_measure(job: Job, stage: Stage, iterations_per_us: float, take: Take) -> None:
    """Bring up what the trial asks for, as far as it is not there already, and measure it."""
    trial, server, runtime, notes = job.trial, job.trial.model, stage.runtime, take.notes
    if isinstance(server, RunningServer):
        reached = reach(trial, server, stage.certificates, notes)
        take.proved = reached.proving_requests
        outside = partial(measure_from_outside, runtime, reached)
        if trial.load.kind == "capacity":
            search_capacity(reached, job, take, outside, partial(_step_verdict, stage))
        else:
            outside(job, take)
        return
    with contextlib.ExitStack() as up:
        behind = up.enter_context(backend_up(runtime, job.name, trial, job.cores.backend, notes))
        cores = job.cores.server
        if isinstance(server, ReadyImage):
            coming = image_up(runtime, job.name, trial, server, cores, stage.certificates, notes)
        else:
            address = behind.address if behind else None
            model = stage.models[server]
            coming = server_up(runtime, job.name, trial, model, cores, iterations_per_us, notes, address)
        deployed = up.enter_context(coming)
        take.proved = deployed.proving_requests
        job = replace(job, backend=behind)
        if trial.load.kind == "capacity":
            _search(deployed, job, stage, take)
        else:
            measure(runtime, deployed, job, take)


def _search(deployed: Deployed, job: Job, stage: Stage, take: Take) -> None:
    """Load the server step after step, then end it; its marks are then those of the last step."""
    try:
        search_capacity(deployed, job, take, partial(observe, stage.runtime, deployed), partial(_step_verdict, stage))
        finish(deployed, job, take)
        if take.server is not None:
            take.server = take.server.model_copy(update={"marks": take.server.marks[-2:]})
    finally:
        keep_logs(deployed, job, take)


def _step_verdict(stage: Stage, job: Job, take: Take) -> Verdict | None:
    """Who gave out in a step, by what client and probe saw: the server has not reported yet."""
    return None if take.client is None else judge(_evidence(job, take, stage, *_looked_at(job, take)))[1]


def _judgement(job: Job, take: Take, stage: Stage, trouble: str | None) -> dict[str, Any]:
    """Usage, core loads, checks, verdict and state; a trial that broke is failed, with the reason."""
    usage, cores = _looked_at(job, take)
    if take.probe is not None and "server" not in usage and take.fault is None and trouble is None:
        trouble = f"the server's processes were gone before the window ended{_last_words(take)}"
    known: dict[str, Any] = {"usage": usage, "cores": cores}
    if trouble is not None or take.client is None:
        return {**known, "state": "failed", "reason": trouble, "checks": (), "verdict": None}
    checks, verdict, state, reason = judge(_evidence(job, take, stage, usage, cores))
    if take.capacity is not None and (unfinished := search_doubt(take.capacity)) is not None:
        state = "marked" if state == "ok" else state
        reason = f"{reason}; {unfinished}" if reason else unfinished
    return {**known, "state": state, "reason": reason, "checks": checks, "verdict": verdict}


def _looked_at(job: Job, take: Take) -> tuple[dict[str, ServiceUsage], dict[Side, CoreLoad]]:
    """What the probe saw of each service, and of the cores of each side; nothing without both reports."""
    if take.client is None or take.probe is None:
        return {}, {}
    found = {
        "server": usage_of(take.probe, "server", job.trial.limits.cores, take.server),
        "backend": usage_of(take.probe, "backend", BACKEND_CORES, None),
        "client": client_usage(take.probe, take.client, len(job.cores.client)),
    }
    usage = {name: used for name, used in found.items() if used is not None}
    return usage, core_loads(take.probe.host, take.client, job.cores)


def _evidence(
    job: Job, take: Take, stage: Stage, usage: Mapping[str, ServiceUsage], cores: Mapping[Side, CoreLoad]
) -> Evidence:
    """What a judgement rests on; of a search, its last step."""
    model = stage.model_of(job.trial)
    assert take.client is not None  # noqa: S101 - whoever asks has looked
    return Evidence(
        trial=take.measured or job.trial,
        concurrency=model.concurrency if model else None,
        workers=workers_of(model, job.trial.options) if model else None,
        client=take.client,
        server=take.server,
        proving_requests=take.proved,
        usage=usage.get("server"),
        client_usage=usage.get("client"),
        cores=cores,
        backend=take.backend,
        backend_usage=usage.get("backend"),
        fault=take.fault,
        earlier_ok=take.earlier_ok,
        earlier_unknown=take.earlier_unknown,
        searched=take.capacity is not None and take.capacity.ended != "client gave out",
    )


def _last_words(take: Take) -> str:
    """How the server ended, where its log's last line tells: a container that the kernel killed at its memory limit does."""
    last = take.logs.get("server", "").rstrip().rpartition("\n")[2]
    return f": {last.strip('[]')}" if last.startswith("[the container ended") else ""


def _store_raw(folder: Path, take: Take) -> None:
    named = {f"step-{number}": report for number, report in enumerate(take.steps, start=1)}
    if take.client is not None:
        named["0"] = take.client
    for name, report in named.items():
        store.write_atomically(folder / "clients" / f"{name}.json", report.model_dump_json(indent=1).encode())
    if take.probe is not None:
        looks = {name: [look.model_dump() for look in samples] for name, samples in take.probe.samples.items()}
        looks |= {f"{name}-network": [look.model_dump() for look in seen] for name, seen in take.probe.network.items()}
        for name, samples in {**looks, "host": [dict(look) for look in take.probe.host]}.items():
            store.write_samples(folder / "probes" / f"{name}.parquet", samples)
    for name, text in take.logs.items():
        store.write_atomically(folder / "logs" / f"{name}.log", text.encode())
