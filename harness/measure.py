"""One trial's measurement: a client and a probe beside a proved server, edges taken, everything fetched.

The timeline is the client's: it says when it is ready, the harness answers with a start time on the monotonic
clock, and both know the window's edges from then on. At each edge the server takes a mark of its counters and the
probe looks. Where connections are kept, the probe weighs the server twice besides, outside the timed part: idle,
before the client may connect, and on the plateau, when the last answer is in and the connections are still held.
"""

import contextlib
import json
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from signal import SIGTERM, SIGUSR2

from harness.backend import BackendUp, stop_backend
from harness.client_service import client_config, client_spec
from harness.clients import ClientPlan, connect_deadline_s
from harness.deploy import Deployed, fetch_record, remove, stop_and_report
from harness.errors import MeasureError
from harness.events import EventStream, Tick
from harness.faults import Injector, injector, requests_answered, stop_what_is_left
from harness.hosts.cores import CoreMap
from harness.raw import BackendReport, ClientReport, FaultReport, ProbeReport, ServerReport
from harness.result import Capacity
from harness.runtime.base import Runtime, Service, ServiceSpec
from harness.spec.contract import ProbeConfig, ProbeTarget, ProbeWindow
from harness.spec.experiment import Trial

STEP_DEADLINE_S = 15.0
START_DELAY_NS = 50_000_000  # from "ready" to the first request: long enough to hand the start time over
PROBE_INTERVAL_S = 0.25
PLATEAU_S = 30.0  # at most: the client lets go as soon as the memory has been read


@dataclass
class Take:
    """What a trial has brought so far. Whatever breaks, this much is kept."""

    client: ClientReport | None = None
    server: ServerReport | None = None
    probe: ProbeReport | None = None
    backend: BackendReport | None = None
    fault: FaultReport | None = None
    proved: int = 0  # requests that the server answered rightly before the load
    logs: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what went wrong without touching the numbers
    # A search for capacity loads one server again and again: what is above is then of its last step.
    capacity: Capacity | None = None
    steps: list[ClientReport] = field(default_factory=list)  # of every step
    measured: Trial | None = None  # the last step, as the open load that it was
    earlier_ok: int = 0  # right answers of the steps before the last
    earlier_unknown: int = 0  # their requests of unknown fate


@dataclass(frozen=True)
class Job:
    """What is to be measured, and how."""

    name: str  # of the trial; unique within the run
    trial: Trial
    cores: CoreMap
    exact: bool  # whether the server keeps counts (`counts: exact`)
    on_tick: Callable[[Tick], None]  # told about progress, twice a second
    backend: BackendUp | None = None  # behind the server
    client: ClientPlan = field(default_factory=ClientPlan)  # its processes and sources
    on_step: Callable[[str], None] = lambda _what: None  # told what a search tries next
    chosen_seed: int | None = None  # of the load; none: the name's

    @property
    def seed(self) -> int:
        """Of the schedule, the think times and the mix: every trial has its own, and the same one when it is made again."""
        return zlib.crc32(self.name.encode()) if self.chosen_seed is None else self.chosen_seed


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
    with injector(job.trial, deployed.url) as fault:
        try:
            observe(runtime, deployed, job, take, fault)
            finish(deployed, job, take, fault)
        finally:
            keep_logs(deployed, job, take)


def observe(runtime: Runtime, deployed: Deployed, job: Job, take: Take, fault: Injector | None = None) -> None:
    """One load beside a server that lives on: client and probe come, tell and go. A search makes many of them.

    Args:
        runtime: where client and probe run.
        deployed: the server.
        job: what is to be measured.
        take: gets both reports.
        fault: whoever sets off the trial's fault.

    Raises:
        MeasureError: client or probe broke down or missed a deadline.
    """
    config = client_config(deployed, job.trial, plateau_s=_plateau_s(job.trial), client=job.client, seed=job.seed)
    specs = [
        client_spec(f"{job.name}-client", config, job.cores.client, job.client),
        _probe_spec(deployed, job, runtime),
    ]
    with started(runtime, specs, take.notes) as (client, probe):
        try:
            _follow(client, probe, job, fault)
            take.client = fetch_record(client, "client.json", ClientReport)
            probe.signal(SIGTERM)
            probe.wait(STEP_DEADLINE_S)
            take.probe = fetch_record(probe, "probe.json", ProbeReport)
        finally:
            take.logs |= {service.spec.role: service.logs() for service in (client, probe)}


def finish(deployed: Deployed, job: Job, take: Take, fault: Injector | None = None) -> None:
    """End the server, and what is behind it, and take their reports.

    Raises:
        DeployError: one of them did not end as the contract says.
        MeasureError: one of them left no right report.
    """
    if fault is None:
        take.server = stop_and_report(deployed.service, job.exact, deployed.stop)
    else:
        take.fault = fault.report()
        take.proved += requests_answered(take.fault)
        take.server = stop_what_is_left(deployed.service, job.exact, take.notes)
    if job.backend is not None:
        take.backend = stop_backend(job.backend)


def keep_logs(deployed: Deployed, job: Job, take: Take) -> None:
    """What the server, and what is behind it, printed."""
    behind = [job.backend.service] if job.backend else []
    take.logs |= {service.spec.role: service.logs() for service in (deployed.service, *behind)}


def _follow(client: Service, probe: Service, job: Job, fault: Injector | None) -> None:
    """The trial's timeline, from ready to done."""
    load = job.trial.load
    length_s = connect_deadline_s(load) + load.warmup.s + load.window.s + load.timeout.s
    with EventStream(client, length_s, job.on_tick) as events, EventStream(probe, length_s) as looks:
        looks.expect("ready", STEP_DEADLINE_S)
        if keeps_connections(job.trial):
            _weigh(probe, looks)
            client.put("connect.json", b"{}")
        events.expect("ready", connect_deadline_s(load))
        client.put("start.json", json.dumps({"start_ns": time.monotonic_ns() + START_DELAY_NS}).encode())
        timeline = events.expect("started", STEP_DEADLINE_S)
        window = ProbeWindow(start_ns=timeline["window_start_ns"], end_ns=timeline["window_end_ns"])
        probe.put("window.json", window.model_dump_json().encode())
        if fault is not None:
            fault.arm(timeline["window_start_ns"] + job.trial.handler.fault_at.ns)
        for edge_ns in (window.start_ns, window.end_ns):
            events.pump_until(edge_ns)
            looks.expect("edge", STEP_DEADLINE_S)
        events.expect("drained", load.timeout.s + STEP_DEADLINE_S)
        if keeps_connections(job.trial):
            _weigh(probe, looks)
            if events.has("done"):
                raise MeasureError(f"{job.name}: the connections were closed before the memory was read; try again")
            client.put("release.json", b"{}")
        events.expect("done", STEP_DEADLINE_S)
        client.wait(STEP_DEADLINE_S)


def _weigh(probe: Service, looks: EventStream) -> None:
    """Have the probe look at the server's memory: 0.1 to 1 ms a process, so thousands take their time."""
    probe.signal(SIGUSR2)
    looks.expect("memory", PLATEAU_S)


def keeps_connections(trial: Trial) -> bool:
    """Whether connections are still there after the window. With one per request, memory would be that of an idle server."""
    return trial.load.lifetime != "per-request"


def _plateau_s(trial: Trial) -> float:
    return PLATEAU_S if keeps_connections(trial) else 0.0


def _probe_spec(deployed: Deployed, job: Job, runtime: Runtime) -> ServiceSpec:
    load = job.trial.load
    service, steps_s = deployed.service, connect_deadline_s(load) + 4 * STEP_DEADLINE_S + 2 * PLATEAU_S
    target = ProbeTarget(pid=service.main_pid, cgroup=runtime.name == "docker", port=service.spec.port, mark=job.exact)
    services, watched = {"server": target}, {"server": job.cores.server, "client": job.cores.client}
    if job.backend is not None:
        services["backend"] = ProbeTarget(pid=job.backend.service.main_pid, cgroup=target.cgroup)
    if job.cores.backend_apart:
        watched["backend"] = job.cores.backend
    config = ProbeConfig(
        services=services,
        watched_cpus=watched,
        own_network="client",
        interval_s=PROBE_INTERVAL_S,
        deadline_s=load.warmup.s + load.window.s + load.timeout.s + steps_s,
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
