"""One trial, from a server that is not there to a record: deploy, measure, judge, store what came raw."""

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness import store
from harness.backend import CORES as BACKEND_CORES
from harness.backend import backend_up
from harness.clients import plan_client
from harness.deploy import server_up
from harness.errors import TrialError
from harness.events import Tick
from harness.foreign import image_up, measure_from_outside, reach
from harness.judging.evidence import Evidence
from harness.judging.verdict import judge
from harness.measure import Job, Take, measure
from harness.plan import PlannedTrial
from harness.result import TrialResult
from harness.spec.catalogue import workers_of
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
) -> TrialResult:
    """One record, whatever happens to the trial: what came before it broke is kept and stored.

    Args:
        run: the run's folder; the trial's raw reports go there.
        planned: the trial.
        stage: where it runs.
        iterations_per_us: calibration of the CPU work.
        on_tick: told about progress.
        at_least: client processes that it is known to need.
    """
    trial, model = planned.trial, stage.model_of(planned.trial)
    started, begun_s = datetime.now(UTC), time.monotonic()
    folder = store.begin_trial(run, planned.id)
    exact = model is not None and model.counts == "exact"
    client = plan_client(trial, stage.room, at_least)
    job = Job(planned.id, trial, stage.cores(trial), exact, on_tick, client=client)
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
        overhead_s=elapsed_s - trial.load.warmup.s - trial.load.window.s,
        clients=client.processes,
        client=take.client,
        servers={"server": take.server} if take.server is not None else {},
        backend=take.backend,
        fault=take.fault,
        notes=tuple(take.notes),
        **_judgement(job, take, stage, trouble),
    )


def _deploy_and_measure(job: Job, stage: Stage, iterations_per_us: float, take: Take) -> None:
    """Bring up what the trial asks for, as far as it is not there already, and measure it."""
    trial, server, runtime, notes = job.trial, job.trial.model, stage.runtime, take.notes
    if isinstance(server, RunningServer):
        reached = reach(trial, server, stage.certificates, notes)
        take.proved = reached.proving_requests
        measure_from_outside(runtime, reached, job, take)
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
        measure(runtime, deployed, replace(job, backend=behind), take)


def _judgement(job: Job, take: Take, stage: Stage, trouble: str | None) -> dict[str, Any]:
    """Usage, core loads, checks, verdict and state; a trial that broke is failed, with the reason."""
    usage, cores = {}, {}
    if take.client is not None and take.probe is not None:
        found = {
            "server": usage_of(take.probe, "server", job.trial.limits.cores, take.server),
            "backend": usage_of(take.probe, "backend", BACKEND_CORES, None),
            "client": client_usage(take.probe, take.client, len(job.cores.client)),
        }
        usage = {name: used for name, used in found.items() if used is not None}
        cores = core_loads(take.probe.host, take.client, job.cores)
        if "server" not in usage and take.fault is None and trouble is None:
            trouble = f"the server's processes were gone before the window ended{_last_words(take)}"
    known: dict[str, Any] = {"usage": usage, "cores": cores}
    if trouble is not None or take.client is None:
        return {**known, "state": "failed", "reason": trouble, "checks": (), "verdict": None}
    model = stage.model_of(job.trial)
    evidence = Evidence(
        trial=job.trial,
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
    )
    checks, verdict, state, reason = judge(evidence)
    return {**known, "state": state, "reason": reason, "checks": checks, "verdict": verdict}


def _last_words(take: Take) -> str:
    """How the server ended, where its log's last line tells: a container that the kernel killed at its memory limit does."""
    last = take.logs.get("server", "").rstrip().rpartition("\n")[2]
    return f": {last.strip('[]')}" if last.startswith("[the container ended") else ""


def _store_raw(folder: Path, take: Take) -> None:
    if take.client is not None:
        store.write_atomically(folder / "clients" / "0.json", take.client.model_dump_json(indent=1).encode())
    if take.probe is not None:
        looks = {name: [look.model_dump() for look in samples] for name, samples in take.probe.samples.items()}
        looks |= {f"{name}-network": [look.model_dump() for look in seen] for name, seen in take.probe.network.items()}
        for name, samples in {**looks, "host": [dict(look) for look in take.probe.host]}.items():
            store.write_samples(folder / "probes" / f"{name}.parquet", samples)
    for name, text in take.logs.items():
        store.write_atomically(folder / "logs" / f"{name}.log", text.encode())
