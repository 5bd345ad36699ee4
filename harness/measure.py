"""One trial's measurement: clients and probes beside proved servers, edges taken, everything fetched.

The timeline is a start that all are told beforehand, each in its own host's clock; everybody knows the window's edges from then
on. At each edge the probe of a host looks, and has the servers there take a mark of their counters. Where connections are
kept, the probes weigh the servers twice besides, outside the timed part: idle, before the clients may connect, and on the plateau,
when the last answer is in and the connections are still held.
"""

import contextlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from signal import SIGTERM, SIGUSR2

from harness.backend import BackendUp, stop_backend
from harness.balancer import BalancerUp, stop_balancer
from harness.client_service import client_config, client_spec
from harness.clients import connect_deadline_s
from harness.deploy import Deployed, Front, Reached, fetch_record, remove, stop_and_report
from harness.errors import MeasureError
from harness.events import EventStream, Tick
from harness.faults import Injector, injector, requests_answered, stop_what_is_left
from harness.fleet import Fleet, Look
from harness.load_clients import LoadClient, LoadClients, led
from harness.merging import merged_backends, merged_clients
from harness.placement import Placement
from harness.raw import (
    BackendReport,
    BalancerReport,
    ClientReport,
    FaultReport,
    ProbeReport,
    ServerReport,
    TimedFaultReport,
)
from harness.result import Capacity
from harness.runtime.base import Runtime, Service, ServiceSpec
from harness.spec.cluster import FaultAction
from harness.spec.contract import ProbeConfig, ProbeTarget, ProbeWindow
from harness.spec.experiment import Trial
from harness.timed_faults import FaultSchedule, fault_hosts, fault_targets, hosts_killed, servers_hit

STEP_DEADLINE_S = 15.0
START_DELAY_NS = 50_000_000  # from "ready" to the first request: long enough to hand the start time over
START_DELAY_AFAR_NS = 600_000_000  # the same, where it goes over a network and through an engine
PROBE_INTERVAL_S = 0.25
ENDING: tuple[FaultAction, ...] = ("kill-server", "kill-host")
"""Faults after which a server that reports is another process than the one that was proved."""

PLATEAU_S = 30.0  # at most: the client lets go as soon as the memory has been read


@dataclass
class Take:
    """What a trial has brought so far. Whatever breaks, this much is kept."""

    client: ClientReport | None = None
    shares: list[ClientReport] = field(default_factory=list)  # of each client; `client` is all of them together
    servers: dict[str, ServerReport] = field(default_factory=dict)  # by name
    probes: dict[str, ProbeReport] = field(default_factory=dict)  # by host
    backend: BackendReport | None = None
    balancer: BalancerReport | None = None
    fault: FaultReport | None = None
    faults: tuple[TimedFaultReport, ...] = ()
    proved: int = 0  # requests that the server answered rightly before the load
    logs: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what went wrong without touching the numbers
    looks: Mapping[str, Look] = field(default_factory=dict)  # at the hosts, after the trial; none of this machine alone
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
    fleet: Fleet
    placement: Placement
    exact: bool  # whether the servers keep counts (`counts: exact`)
    on_tick: Callable[[Tick], None]  # told about progress, twice a second
    backends: Mapping[str, BackendUp] = field(default_factory=dict)  # behind the servers, by host
    balancer: BalancerUp | None = None  # in front of them
    on_step: Callable[[str], None] = lambda _what: None  # told what a search tries next
    chosen_seed: int | None = None  # of the load; none: the name's
    block: int | None = None  # of an experiment's repeats

    @property
    def seed(self) -> int:
        """Of the schedule, the think times and the mix: every trial has its own, and the same one when it is made again."""
        return zlib.crc32(self.name.encode()) if self.chosen_seed is None else self.chosen_seed

    @property
    def start_delay_ns(self) -> int:
        """From "ready" to the first request."""
        return START_DELAY_NS if all(self.fleet[host].here for host in self.placement.hosts) else START_DELAY_AFAR_NS

    @property
    def connecting_s(self) -> float:
        """How long connecting may take."""
        return connect_deadline_s(self.trial.load)


def measure(front: Front, job: Job, take: Take) -> None:
    """Load what is deployed as the trial says, and collect what clients, probes and servers have to tell.

    Args:
        front: the servers, proved right.
        job: what is to be measured.
        take: gets each report as it comes.

    Raises:
        MeasureError: a client or a probe broke down or missed a deadline.
        DeployError: a server did not finish as the contract says.
    """
    with injector(job.trial, front.url, front.dial) as fault, _scheduled(front, job) as faults:
        try:
            observe(front, job, take, fault, faults)
            finish(front, job, take, fault)
        finally:
            keep_logs(front, job, take)


def _scheduled(front: Front, job: Job) -> FaultSchedule:
    """The faults of the trial's schedule, none in most of them."""
    faults = job.trial.faults
    hosts = fault_hosts(job.placement, job.fleet) if faults else []
    targets = fault_targets(hosts, front.servers) if faults else []
    return FaultSchedule(faults, targets, job.trial.load.timeout.s)


def observe(
    front: Front, job: Job, take: Take, fault: Injector | None = None, faults: FaultSchedule | None = None
) -> None:
    """One load beside servers that live on: clients and probes come, tell and go. A search makes many of them.

    Args:
        front: the servers.
        job: what is to be measured.
        take: gets the reports.
        fault: whoever sets off the trial's fault.
        faults: whoever breaks what its schedule says; all of it is undone before the servers are asked to end.

    Raises:
        MeasureError: a client or a probe broke down or missed a deadline.
    """
    clients, hosts = client_specs(front, job, plateau_s=_plateau_s(job.trial)), job.placement.hosts
    probes = [(job.fleet[host].runtime, _probe_spec(host, front, job)) for host in hosts]
    with started([*clients, *probes], take.notes) as services:
        watching = dict(zip(hosts, services[len(clients) :], strict=True))
        try:
            take.shares = _follow(load_clients(services[: len(clients)], job), watching, job, fault, faults)
            take.client = merged_clients(take.shares)
            take.probes = _end({host: probe for host, probe in watching.items() if host not in _lost(job)})
        finally:
            if faults is not None:
                faults.end()
                take.faults = faults.report()
                take.proved += faults.requests_answered()
                take.notes += faults.troubles
            take.logs |= logs_of([service for service in services if service.spec.role == "client"], "client")
            take.logs |= logs_of(list(watching.values()), "probe")


def client_specs(reached: Reached, job: Job, *, plateau_s: float = 0.0) -> list[tuple[Runtime, ServiceSpec]]:
    """The load clients of a trial, and where each is to run.

    Args:
        reached: what to load.
        job: how.
        plateau_s: how long connections are held after the window at most; the clients then wait with the first one, too.
    """
    return [
        (
            job.fleet[part.host].runtime,
            client_spec(
                f"{job.name}-{part.name}",
                client_config(
                    reached, job.trial, part=part, everyone=job.placement.processes, plateau_s=plateau_s, seed=job.seed
                ),
                part.cores,
                part.plan,
            ),
        )
        for part in job.placement.clients
    ]


def load_clients(services: Sequence[Service], job: Job) -> list[LoadClient]:
    """Started clients, with their hosts' clocks."""
    parts = zip(services, job.placement.clients, strict=True)
    return [LoadClient(service, job.fleet[part.host].clock) for service, part in parts]


def logs_of(services: Sequence[Service], name: str) -> dict[str, str]:
    """What services printed, by name; of several, numbered."""
    several = len(services) > 1
    return {f"{name}-{number}" if several else name: service.logs() for number, service in enumerate(services, start=1)}


def finish(front: Front, job: Job, take: Take, fault: Injector | None = None) -> None:
    """End the servers, and what is behind them, and take their reports.

    Raises:
        DeployError: one of them did not end as the contract says.
        MeasureError: one of them left no right report.
    """
    if fault is not None:
        take.fault = fault.report()
        take.proved += requests_answered(take.fault)

    if job.balancer is not None:  # before the servers: it would find them gone, and count that
        take.balancer = stop_balancer(job.balancer)

    hit = servers_hit(job.trial.faults, job.placement)

    def end(server: Deployed) -> ServerReport | None:
        if server.stop is None or (fault is None and server.name not in hit):
            return stop_and_report(server.service, job.exact, server.stop)
        return stop_what_is_left(server.service, job.exact, take.notes, server.stop)

    with ThreadPoolExecutor(len(front.servers)) as pool:
        reports = pool.map(end, front.servers)
        take.servers = {
            server.name: report for server, report in zip(front.servers, reports, strict=True) if report is not None
        }
    for name in sorted(take.servers.keys() & servers_hit(job.trial.faults, job.placement, ENDING)):
        del take.servers[name]
        take.notes.append(
            f"{name} was started again in the trial: what it counted before is lost, and its counts are left out"
        )
    lasting = [backend for host, backend in job.backends.items() if host not in _lost(job)]
    take.backend = merged_backends([stop_backend(backend) for backend in lasting]) if lasting else None


def keep_logs(front: Front, job: Job, take: Take) -> None:
    """What the servers, and what is behind them, printed."""
    take.logs |= {server.name: server.service.logs() for server in front.servers}
    take.logs |= logs_of([backend.service for backend in job.backends.values()], "backend")
    if job.balancer is not None:
        take.logs["balancer"] = job.balancer.service.logs()


def _follow(
    clients: Sequence[LoadClient],
    probes: Mapping[str, Service],
    job: Job,
    fault: Injector | None,
    faults: FaultSchedule | None,
) -> list[ClientReport]:
    """The trial's timeline, from ready to done; what each client counted."""
    load, kept = job.trial.load, keeps_connections(job.trial)
    length_s = job.connecting_s + load.warmup.s + load.window.s + load.timeout.s
    with led(clients, length_s, job.on_tick) as together, _watched(probes, length_s) as looks:
        _each(looks, "ready", STEP_DEADLINE_S)
        if kept:
            _weigh(probes, looks)
            together.put("connect.json")
        together.expect("ready", job.connecting_s)
        timeline = together.start(job.start_delay_ns, STEP_DEADLINE_S)
        for host, probe in probes.items():
            clock = job.fleet[host].clock
            edges = (clock.on_host(at_ns) for at_ns in (timeline.window_start_ns, timeline.window_end_ns))
            window = ProbeWindow(**dict(zip(("start_ns", "end_ns"), edges, strict=True)))
            probe.put("window.json", window.model_dump_json().encode())
        if fault is not None:
            fault.arm(timeline.window_start_ns + job.trial.handler.fault_at.ns)
        if faults is not None:
            faults.arm(timeline.window_start_ns)
        together.pump_until(timeline.window_start_ns)
        _each(looks, "edge", STEP_DEADLINE_S)
        together.pump_until(timeline.window_end_ns)
        together.expect("drained", load.timeout.s + STEP_DEADLINE_S)
        if faults is not None:
            faults.end()
        lasting = {host: probe for host, probe in probes.items() if host not in _lost(job)}
        told = [look for host, look in zip(probes, looks, strict=True) if host in lasting]
        _each(told, "edge", STEP_DEADLINE_S)  # after that: a probe on a frozen host can say so only now
        if kept:
            _weigh(lasting, told)
            _release(together, job)
        together.expect("done", STEP_DEADLINE_S)
        together.wait(STEP_DEADLINE_S)
        return together.reports()


def _lost(job: Job) -> set[str]:
    """Hosts that the trial kills: their probes are gone with them."""
    return hosts_killed(job.trial.faults, job.placement)


def _release(together: LoadClients, job: Job) -> None:
    if together.has("done"):
        raise MeasureError(f"{job.name}: the connections were closed before the memory was read; try again")
    together.put("release.json")


@contextlib.contextmanager
def _watched(probes: Mapping[str, Service], silence_s: float) -> Iterator[list[EventStream]]:
    """What the probes say."""
    with contextlib.ExitStack() as open_ones:
        yield [open_ones.enter_context(EventStream(probe, silence_s)) for probe in probes.values()]


def _each(looks: Sequence[EventStream], name: str, timeout_s: float) -> None:
    for stream in looks:
        stream.expect(name, timeout_s)


def _weigh(probes: Mapping[str, Service], looks: Sequence[EventStream]) -> None:
    """Have the probes look at the servers' memory: 0.1 to 1 ms a process, so thousands take their time."""
    for probe in probes.values():
        probe.signal(SIGUSR2)
    _each(looks, "memory", PLATEAU_S)


def _end(probes: Mapping[str, Service]) -> dict[str, ProbeReport]:
    """End the probes, and what each of them saw."""

    def ended(probe: Service) -> ProbeReport:
        probe.signal(SIGTERM)
        probe.wait(STEP_DEADLINE_S)
        return fetch_record(probe, "probe.json", ProbeReport)

    with ThreadPoolExecutor(len(probes)) as pool:
        return dict(zip(probes, pool.map(ended, probes.values()), strict=True))


def keeps_connections(trial: Trial) -> bool:
    """Whether connections are still there after the window. With one per request, memory would be that of an idle server."""
    return trial.load.lifetime != "per-request"


def _plateau_s(trial: Trial) -> float:
    return PLATEAU_S if keeps_connections(trial) else 0.0


def _probe_spec(host: str, front: Front, job: Job) -> ServiceSpec:
    """The probe of one host: it watches what runs there."""
    load, site, sides = job.trial.load, job.fleet[host], job.placement.sides[host]
    cgroup = site.runtime.name == "docker"
    services = {
        server.name: ProbeTarget(
            pid=server.service.main_pid, cgroup=cgroup, port=server.service.spec.port, mark=job.exact
        )
        for server in front.servers
        if server.host == host
    }
    if host in job.backends:
        services["backend"] = ProbeTarget(pid=job.backends[host].service.main_pid, cgroup=cgroup)
    placed = job.placement.balancer
    if job.balancer is not None and placed is not None and placed.host == host:
        balancing = job.balancer.service
        services[placed.name] = ProbeTarget(pid=balancing.main_pid, cgroup=cgroup, port=balancing.spec.port, mark=True)
    config = ProbeConfig(
        services=services,
        watched_cpus=dict(sides.watched.items()),
        own_network="client",
        interval_s=PROBE_INTERVAL_S,
        deadline_s=load.warmup.s
        + load.window.s
        + load.timeout.s
        + job.connecting_s
        + 4 * STEP_DEADLINE_S
        + 2 * PLATEAU_S,
    )
    several = len(job.placement.hosts) > 1
    return ServiceSpec(
        name=f"{job.name}-probe-{host}" if several else f"{job.name}-probe",
        role="probe",
        image="probe",
        config=config.model_dump(mode="json"),
        cores=sides.client,
    )


@contextlib.contextmanager
def started(specs: Sequence[tuple[Runtime, ServiceSpec]], notes: list[str]) -> Iterator[list[Service]]:
    """Services started side by side, and removed side by side on the way out; what fails then becomes a note."""
    with ThreadPoolExecutor(len(specs)) as pool:
        starting = [pool.submit(runtime.start, spec) for runtime, spec in specs]
        try:
            yield [future.result() for future in starting]
        finally:
            up = [future.result() for future in starting if future.exception() is None]
            list(pool.map(lambda service: remove(service, notes), up))
