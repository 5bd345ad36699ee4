"""One trial, from a server that is not there to a record: deploy, measure, judge, store what came raw."""

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness import store
from harness.backend import BackendUp, backend_up
from harness.balancer import BalancerUp, balancer_up
from harness.deploy import Deployed, Front, server_up, together
from harness.errors import HostError, RuntimeUnavailable, TrialError
from harness.events import Tick
from harness.fleet import Look, own_cores, rebooted, with_clocks
from harness.foreign import image_up, measure_from_outside, reach
from harness.judging.verdict import judge
from harness.measure import Job, Take, finish, keep_logs, measure, observe
from harness.placement import Placed
from harness.plan import PlannedTrial
from harness.proof import prove_right
from harness.result import TrialResult, Verdict
from harness.search import search_capacity, search_doubt
from harness.seen import client_shares, evidence_of, host_uses, looked_at
from harness.spec.contract import BalancedAddress
from harness.spec.experiment import Trial
from harness.spec.foreign import ReadyImage, RunningServer
from harness.stage import Stage
from harness.timed_faults import hosts_killed, servers_hit

RETURN_S = 60.0
"""How long a host that was lost in a trial is waited for."""


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
    placement = stage.place(trial, at_least)
    job = Job(planned.id, trial, stage.fleet, placement, exact, on_tick, on_step=on_step, block=planned.block)
    if own := own_cores(job.fleet, placement):
        os.sched_setaffinity(0, own)  # the harness itself stays off the servers' cores
    take, before, trouble = Take(), dict[str, Look](), None
    try:
        before = stage.look(placement)
        job = replace(job, fleet=with_clocks(job.fleet, before))
        _deploy_and_measure(job, stage, iterations_per_us, take)
    except (TrialError, HostError, RuntimeUnavailable) as error:
        trouble = str(error)
    trouble = _looked_again(stage, job, take, before, trouble)
    elapsed_s = time.monotonic() - begun_s
    _store_raw(folder, take)
    return TrialResult(
        **planned.model_dump(include={"id", "point", "repeat", "block", "order", "factors"}),
        trial=trial,
        runtime=stage.runtime.name,
        started=f"{started:%Y-%m-%dT%H:%M:%S}.{started.microsecond // 1000:03}Z",
        elapsed_s=elapsed_s,
        overhead_s=elapsed_s - _loaded_s(trial, take),
        clients=placement.processes,
        capacity=take.capacity,
        client=take.client,
        servers=take.servers,
        backend=take.backend,
        fault=take.fault,
        faults=take.faults,
        balancer=take.balancer,
        client_shares=client_shares(job, take),
        hosts=host_uses(job, take, before),
        notes=tuple(take.notes),
        **_unless_void(_judgement(job, take, stage, trouble), _anew(job, before, take.looks)),
    )


def _looked_again(stage: Stage, job: Job, take: Take, before: Mapping[str, Look], trouble: str | None) -> str | None:
    """See how the hosts are after a trial; why it broke, where it did.

    A host that was away when the trial began is not asked for again; one that was lost in it is waited for: what was measured
    counts where only the way to it was lost, and the next trials need it.
    """
    if not before:
        return trouble
    try:
        take.looks = stage.look(job.placement, RETURN_S)
    except HostError as error:
        return f"{trouble}; then {error}" if trouble else str(error)
    return trouble


def _anew(job: Job, before: Mapping[str, Look], after: Mapping[str, Look]) -> list[str]:
    """Hosts that have started anew in a trial, and were not meant to."""
    meant = hosts_killed(job.trial.faults, job.placement)
    return [name for name in rebooted(before, after) if name not in meant]


def _unless_void(judged: dict[str, Any], anew: Sequence[str]) -> dict[str, Any]:
    """A host that started anew in a trial took with it whatever ran there: the trial says nothing, and is made again."""
    if not anew:
        return judged
    return {**judged, "state": "void", "reason": f"{', '.join(anew)}: the host started anew while the trial ran"}


def _loaded_s(trial: Trial, take: Take) -> float:
    """Warm-up and window; of a search, those of all its steps."""
    if take.capacity is None:
        return trial.load.warmup.s + trial.load.window.s
    return sum(trial.load.warmup.s + step.window_s for step in take.capacity.steps)


def _deploy_and_measure(job: Job, stage: Stage, iterations_per_us: float, take: Take) -> None:
    """Bring up what the trial asks for, as far as it is not there already, and measure it."""
    trial, server = job.trial, job.trial.model
    if isinstance(server, RunningServer):
        reached = reach(trial, server, stage.certificates, take.notes)
        take.proved = reached.proving_requests
        outside = partial(measure_from_outside, reached)
        if trial.load.kind == "capacity":
            search_capacity(reached, job, take, outside, partial(_step_verdict, stage))
        else:
            outside(job, take)
        return
    with contextlib.ExitStack() as up:
        job = replace(job, backends=_backends_up(job, take.notes, up))
        front = _front_up(job, stage, iterations_per_us, take.notes, up)
        if job.placement.balancer is not None:
            balancer = up.enter_context(_balancer_up(job, job.placement.balancer, front, take.notes))
            job, front = replace(job, balancer=balancer), _balanced(job, front, balancer, stage, take.notes)
        take.proved = front.proving_requests
        if trial.load.kind == "capacity":
            _search(front, job, stage, take)
        else:
            measure(front, job, take)


def _backends_up(job: Job, notes: list[str], up: contextlib.ExitStack) -> dict[str, BackendUp]:
    """The backend of each host that has servers, where the trial has any."""
    found = {}
    for host, placed in job.placement.backends.items():
        name = job.name if placed.name == "backend" else f"{job.name}-{host}"
        coming = backend_up(job.fleet[host], name, job.trial, placed.cores, notes)
        if (backend := up.enter_context(coming)) is not None:
            found[host] = backend
    return found


def _front_up(job: Job, stage: Stage, iterations_per_us: float, notes: list[str], up: contextlib.ExitStack) -> Front:
    """The trial's servers, started side by side, each proved right."""
    coming = [_server_up(job, placed, stage, iterations_per_us, notes) for placed in job.placement.servers]
    servers = up.enter_context(together(coming))
    named = [
        replace(server, name=placed.name, host=placed.host)
        for server, placed in zip(servers, job.placement.servers, strict=True)
    ]
    return Front.of(named, direct=job.trial.balancer == "direct")


def _balancer_up(
    job: Job, placed: Placed, front: Front, notes: list[str]
) -> contextlib.AbstractContextManager[BalancerUp]:
    """The balancer in front of the trial's servers."""
    parts = [(server, urlsplit(server.url)) for server in front.servers]
    behind = [BalancedAddress(name=server.name, host=at.hostname or "", port=at.port or 80) for server, at in parts]
    return balancer_up(job.fleet[placed.host], job.name, job.trial, behind, placed.cores, notes)


def _balanced(job: Job, front: Front, balancer: BalancerUp, stage: Stage, notes: list[str]) -> Front:
    """The same servers as the load meets them: by the balancer's address, proved right through it."""
    assert job.placement.balancer is not None  # noqa: S101 - it is up
    trial, service, dial = job.trial, balancer.service, job.fleet[job.placement.balancer.host].dial
    proved, _ = prove_right(service, balancer.port, trial, stage.model_of(trial), notes, dial)
    url = f"{balancer.origin}{trial.request.path}"
    return replace(front, url=url, proving_requests=front.proving_requests + proved, dial=dial)


def _server_up(
    job: Job, placed: Placed, stage: Stage, iterations_per_us: float, notes: list[str]
) -> contextlib.AbstractContextManager[Deployed]:
    trial, server, site = job.trial, job.trial.model, job.fleet[placed.host]
    name = job.name if placed.name == "server" else f"{job.name}-{placed.name}"
    if isinstance(server, ReadyImage):
        return image_up(site, name, trial, server, placed.cores, stage.certificates, notes)
    assert isinstance(server, str)  # noqa: S101 - what runs already is not deployed
    behind = job.backends.get(placed.host)
    address, model = behind.address if behind else None, stage.models[server]
    return server_up(site, name, trial, model, placed.cores, iterations_per_us, notes, address)


def _search(front: Front, job: Job, stage: Stage, take: Take) -> None:
    """Load the servers step after step, then end them; their marks are then those of the last step."""
    try:
        search_capacity(front, job, take, partial(observe, front), partial(_step_verdict, stage))
        finish(front, job, take)
        take.servers = {
            name: report.model_copy(update={"marks": report.marks[-2:]}) for name, report in take.servers.items()
        }
    finally:
        keep_logs(front, job, take)


def _step_verdict(stage: Stage, job: Job, take: Take) -> Verdict | None:
    """Who gave out in a step, by what client and probe saw: the server has not reported yet."""
    if take.client is None:
        return None
    return judge(evidence_of(job, take, stage.model_of(job.trial), *looked_at(job, take)))[1]


def _judgement(job: Job, take: Take, stage: Stage, trouble: str | None) -> dict[str, Any]:
    """Usage, core loads, checks, verdict and state; a trial that broke is failed, with the reason."""
    usage, cores = looked_at(job, take)
    broken = servers_hit(job.trial.faults, job.placement)
    unseen = [placed.name for placed in job.placement.servers if placed.name not in usage] if take.probes else []
    gone = [name for name in unseen if name not in broken]
    if gone and take.fault is None and trouble is None:
        trouble = f"the {gone[0]}'s processes were gone before the window ended{_last_words(take, gone[0])}"
    known: dict[str, Any] = {"usage": usage, "cores": cores}
    if trouble is not None or take.client is None:
        return {**known, "state": "failed", "reason": trouble, "checks": (), "verdict": None}
    checks, verdict, state, reason = judge(evidence_of(job, take, stage.model_of(job.trial), usage, cores))
    if take.capacity is not None and (unfinished := search_doubt(take.capacity)) is not None:
        state = "marked" if state == "ok" else state
        reason = f"{reason}; {unfinished}" if reason else unfinished
    return {**known, "state": state, "reason": reason, "checks": checks, "verdict": verdict}


def _last_words(take: Take, server: str) -> str:
    """How the server ended, where its log's last line tells: a container that the kernel killed at its memory limit does."""
    last = take.logs.get(server, "").rstrip().rpartition("\n")[2]
    return f": {last.strip('[]')}" if last.startswith("[the container ended") else ""


def _store_raw(folder: Path, take: Take) -> None:
    named = {f"step-{number}": report for number, report in enumerate(take.steps, start=1)}
    named |= {str(number): report for number, report in enumerate(take.shares)}
    for name, report in named.items():
        store.write_atomically(folder / "clients" / f"{name}.json", report.model_dump_json(indent=1).encode())
    for host, probe in take.probes.items():
        looks = {name: [look.model_dump() for look in samples] for name, samples in probe.samples.items()}
        looks |= {f"{name}-network": [look.model_dump() for look in seen] for name, seen in probe.network.items()}
        apart = f"{host}." if len(take.probes) > 1 else ""
        for name, samples in {**looks, "host": [dict(look) for look in probe.host]}.items():
            store.write_samples(folder / "probes" / f"{apart}{name}.parquet", samples)
    for name, text in take.logs.items():
        store.write_atomically(folder / "logs" / f"{name}.log", text.encode())
