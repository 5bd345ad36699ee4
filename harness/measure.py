"""One trial's measurement: a client and a probe beside a proved server, edges taken, everything fetched.

The timeline is the client's: it says when it is ready, the harness answers with a start time on the monotonic
clock, and both know the window's edges from then on. At each edge the server takes a mark of its counters and the
probe looks.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from signal import SIGTERM, SIGUSR1, SIGUSR2

from harness.deploy import Deployed, expected_body_bytes, fetch_record, open_files_for, remove, stop_and_report
from harness.errors import MeasureError
from harness.events import EventStream, Tick, signal_together
from harness.hosts.cores import CoreMap
from harness.result import ClientReport, ProbeReport, ServerReport
from harness.runtime.base import Runtime, Service, ServiceSpec
from harness.spec.contract import ClientConfig, ProbeConfig, ProbeTarget
from harness.spec.experiment import Trial

CONNECT_DEADLINE_S = 60.0
STEP_DEADLINE_S = 15.0
START_DELAY_NS = 50_000_000  # from "ready" to the first request: long enough to hand the start time over
PROBE_INTERVAL_S = 0.25


@dataclass
class Take:
    """What a trial has brought so far. Whatever breaks, this much is kept."""

    client: ClientReport | None = None
    server: ServerReport | None = None
    probe: ProbeReport | None = None
    logs: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what went wrong without touching the numbers


@dataclass(frozen=True)
class Job:
    """What is to be measured, and how."""

    name: str  # of the trial; unique within the run
    trial: Trial
    cores: CoreMap
    exact: bool  # whether the server keeps counts (`counts: exact`)
    on_tick: Callable[[Tick], None]  # told about progress, twice a second


def measure(runtime: Runtime, deployed: Deployed, job: Job, take: Take) -> None:
    """Load a deployed server as the trial says, and collect what client, probe and server have to tell.

    Args:
        runtime: where client and probe run.
        deployed: the server, proved right.
        job: what is to be measured.
        take: gets each report as it comes.

    Raises:
        MeasureError: client or probe broke down or missed a deadline.
        DeployError: the server did not finish as the contract says.
    """
    plateau_s = _plateau_s(runtime, job.trial)
    config = client_config(deployed.url, job.trial, plateau_s=plateau_s, proved=True)
    specs = [client_spec(f"{job.name}-client", config, job.cores.client), _probe_spec(deployed, job, runtime)]
    with started(runtime, specs, take.notes) as (client, probe):
        try:
            _follow(client, probe, deployed.service, job, plateau_s)
            take.client = fetch_record(client, "client.json", ClientReport)
            probe.signal(SIGTERM)
            probe.wait(STEP_DEADLINE_S)
            take.probe = fetch_record(probe, "probe.json", ProbeReport)
            take.server = stop_and_report(deployed.service, job.exact)
        finally:
            take.logs |= {service.spec.role: service.logs() for service in (deployed.service, client, probe)}


def _follow(client: Service, probe: Service, server: Service, job: Job, plateau_s: float) -> None:
    """The trial's timeline, from ready to done."""
    load = job.trial.load
    length_s = CONNECT_DEADLINE_S + load.warmup.s + load.window.s + load.timeout.s
    marked = [probe, server] if job.exact else [probe]
    with EventStream(client, length_s, job.on_tick) as events, EventStream(probe, length_s) as looks:
        looks.expect("ready", STEP_DEADLINE_S)
        events.expect("ready", CONNECT_DEADLINE_S)
        client.put("start.json", json.dumps({"start_ns": time.monotonic_ns() + START_DELAY_NS}).encode())
        timeline = events.expect("started", STEP_DEADLINE_S)
        for edge_ns in (timeline["window_start_ns"], timeline["window_end_ns"]):
            events.pump_until(edge_ns)
            signal_together(marked, SIGUSR1)
            looks.expect("edge", STEP_DEADLINE_S)
        events.expect("drained", load.timeout.s + STEP_DEADLINE_S)
        if plateau_s:
            probe.signal(SIGUSR2)
            looks.expect("edge", STEP_DEADLINE_S)
            if events.has("done"):
                raise MeasureError(f"{job.name}: the connections were closed before the memory was read; try again")
        events.expect("done", plateau_s + STEP_DEADLINE_S)
        client.wait(STEP_DEADLINE_S)


def _plateau_s(runtime: Runtime, trial: Trial) -> float:
    """How long connections are held after the window for the memory of plain processes to be read.

    PSS of a process takes the kernel 0.1 to 1 ms to add up; in Docker the cgroup knows the memory at any time. With
    a connection per request none is held after the window, and memory then would be that of an idle server.
    """
    if runtime.name == "docker" or trial.load.lifetime == "per-request":
        return 0.0
    return min(0.15 + 0.002 * trial.load.connections, 10.0)


def client_config(url: str, trial: Trial, *, plateau_s: float = 0.0, proved: bool) -> ClientConfig:
    """The load client's configuration for a trial.

    Args:
        url: what to load.
        trial: how to load it.
        plateau_s: how long connections are held after the window.
        proved: the server was proved right, and has to go on answering so; the start is the harness's to give. Otherwise
            any 2xx is right, and the client starts by itself.
    """
    load, request = trial.load, trial.request
    return ClientConfig(
        url=url,
        method=request.method,
        headers=request.headers,
        body_bytes=request.body.bytes,
        kind=load.kind,
        connections=load.connections,
        rate_per_s=load.rate.per_s if load.rate else None,
        lifetime=load.lifetime,
        warmup_s=load.warmup.s,
        window_s=load.window.s,
        timeout_s=load.timeout.s,
        plateau_s=plateau_s,
        wait_for_start=proved,
        expect_status=200 if proved else None,
        expect_body_bytes=expected_body_bytes(trial) if proved else None,
    )


def client_spec(name: str, config: ClientConfig, cores: Sequence[int]) -> ServiceSpec:
    """The load client as a service."""
    return ServiceSpec(
        name=name,
        role="client",
        image="client",
        config=config.model_dump(mode="json"),
        cores=cores,
        open_files=open_files_for(config.connections),
    )


def _probe_spec(deployed: Deployed, job: Job, runtime: Runtime) -> ServiceSpec:
    load = job.trial.load
    target = ProbeTarget(pid=deployed.service.main_pid, cgroup=runtime.name == "docker")
    config = ProbeConfig(
        services={"server": target},
        watched_cpus={"server": job.cores.server, "client": job.cores.client},
        interval_s=PROBE_INTERVAL_S,
        deadline_s=CONNECT_DEADLINE_S + load.warmup.s + load.window.s + load.timeout.s + 4 * STEP_DEADLINE_S,
    )
    return ServiceSpec(
        name=f"{job.name}-probe",
        role="probe",
        image="probe",
        config=config.model_dump(mode="json"),
        cores=job.cores.client,
    )


@contextlib.contextmanager
def started(runtime: Runtime, specs: Sequence[ServiceSpec], notes: list[str]) -> Iterator[list[Service]]:
    """Services started side by side, and removed side by side on the way out; what fails then becomes a note."""
    with ThreadPoolExecutor(len(specs)) as pool:
        starting = [pool.submit(runtime.start, spec) for spec in specs]
        try:
            yield [future.result() for future in starting]
        finally:
            up = [future.result() for future in starting if future.exception() is None]
            list(pool.map(lambda service: remove(service, notes), up))
