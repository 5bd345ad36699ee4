"""One trial's measurement: a client and a probe beside a proved server, edges taken, everything fetched.

The timeline is the client's: it says when it is ready, the harness answers with a start time on the monotonic
clock, and both know the window's edges from then on. At each edge the server takes a mark of its counters and the
probe a sample.
"""

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from signal import SIGTERM, SIGUSR1, SIGUSR2, Signals
from typing import Any, Literal

from harness.deploy import Deployed, open_files_for, stop_and_report
from harness.errors import MeasureError
from harness.hosts.cores import CoreMap
from harness.result import ClientReport, Sample, ServerReport, ServiceUsage
from harness.runtime.base import Runtime, Service, ServiceSpec
from harness.spec.contract import ClientConfig, ProbeConfig, ProbeTarget
from harness.spec.experiment import Trial

CONNECT_DEADLINE_S = 60.0
STEP_DEADLINE_S = 15.0
START_DELAY_NS = 50_000_000  # from "ready" to the first request: long enough to hand the start time over
PROBE_INTERVAL_S = 0.25


@dataclass(frozen=True)
class Tick:
    """What the client said while running: totals so far."""

    at_ns: int
    ok: int
    errors: int
    connections: int


@dataclass(frozen=True)
class Measured:
    """What came out of a trial, before it is judged."""

    client: ClientReport
    server: ServerReport | None
    server_usage: ServiceUsage
    samples: Mapping[str, Sequence[Mapping[str, Any]]]  # of the probe, by service and for the host
    logs: Mapping[str, str]


def measure(
    runtime: Runtime,
    deployed: Deployed,
    *,
    name: str,
    trial: Trial,
    cores: CoreMap,
    exact: bool,
    on_tick: Callable[[Tick], None],
) -> Measured:
    """Load a deployed server as the trial says, and collect what client, probe and server have to tell.

    Args:
        runtime: where client and probe run.
        deployed: the server, proved right.
        name: of the trial; unique within the run.
        trial: the complete trial.
        cores: who is pinned where.
        exact: whether the server keeps counts (`counts: exact`).
        on_tick: told about progress, twice a second.

    Raises:
        MeasureError: client or probe broke down or missed a deadline.
        DeployError: the server did not finish as the contract says.
    """
    plateau_s = _plateau_s(runtime, trial)
    config = client_config(deployed.url, trial, plateau_s=plateau_s, wait_for_start=True)
    specs = [
        client_spec(f"{name}-client", config, cores.client),
        _probe_spec(deployed, name, trial, cores, runtime),
    ]
    with started(runtime, specs) as (client, probe):
        signalled = [probe, deployed.service] if exact else [probe]
        with EventStream(client, on_tick) as events, EventStream(probe, on_tick) as probe_events:
            probe_events.expect("ready", STEP_DEADLINE_S)
            events.expect("ready", CONNECT_DEADLINE_S)
            client.put("start.json", json.dumps({"start_ns": time.monotonic_ns() + START_DELAY_NS}).encode())
            timeline = events.expect("started", STEP_DEADLINE_S)
            for edge_ns in (timeline["window_start_ns"], timeline["window_end_ns"]):
                events.pump_until(edge_ns)
                signal_together(signalled, SIGUSR1)
            events.expect("drained", trial.load.timeout.s + STEP_DEADLINE_S)
            if plateau_s:
                probe.signal(SIGUSR2)
            events.expect("done", plateau_s + STEP_DEADLINE_S)
        report = fetch_report(client)
        server_report = stop_and_report(deployed.service, exact)
        probe.signal(SIGTERM)
        probe.wait(STEP_DEADLINE_S)
        probed = json.loads(probe.fetch("probe.json"))
        logs = {str(service.spec.role): service.logs() for service in (deployed.service, client, probe)}
    return Measured(
        client=report,
        server=server_report,
        server_usage=server_usage(probed, report, server_report, trial.limits.cores),
        samples={**probed["samples"], "host": probed["host"]},
        logs=logs,
    )


def _plateau_s(runtime: Runtime, trial: Trial) -> float:
    """How long connections are held after the window for the memory of plain processes to be read.

    PSS of a process takes the kernel 0.1 to 1 ms to add up; in Docker the cgroup knows the memory at any time.
    """
    if runtime.name == "docker":
        return 0.0
    return min(0.1 + 0.001 * trial.load.connections, 5.0)


def client_config(url: str, trial: Trial, *, plateau_s: float = 0.0, wait_for_start: bool) -> ClientConfig:
    """The load client's configuration for a trial."""
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
        wait_for_start=wait_for_start,
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


def _probe_spec(deployed: Deployed, name: str, trial: Trial, cores: CoreMap, runtime: Runtime) -> ServiceSpec:
    load = trial.load
    target = ProbeTarget(pid=deployed.service.main_pid, cgroup=runtime.name == "docker")
    config = ProbeConfig(
        services={"server": target},
        watched_cpus=cores.server,
        interval_s=PROBE_INTERVAL_S,
        deadline_s=CONNECT_DEADLINE_S + load.warmup.s + load.window.s + load.timeout.s + 4 * STEP_DEADLINE_S,
    )
    return ServiceSpec(
        name=f"{name}-probe", role="probe", image="probe", config=config.model_dump(mode="json"), cores=cores.client
    )


@contextlib.contextmanager
def started(runtime: Runtime, specs: Sequence[ServiceSpec]) -> Iterator[list[Service]]:
    """Services started side by side, and removed side by side on the way out."""
    with ThreadPoolExecutor(len(specs)) as pool:
        starting = [pool.submit(runtime.start, spec) for spec in specs]
        try:
            yield [future.result() for future in starting]
        finally:
            up = [future.result() for future in starting if future.exception() is None]
            list(pool.map(lambda service: service.remove(), up))


def signal_together(services: Sequence[Service], signal: Signals) -> None:
    """Send a signal to several services at nearly the same instant."""
    with ThreadPoolExecutor(len(services)) as pool:
        list(pool.map(lambda service: service.signal(signal), services))


class EventStream:
    """The events that a service prints, one JSON object a line, read by a thread of its own."""

    def __init__(self, service: Service, on_tick: Callable[[Tick], None]) -> None:
        self._service = service
        self._on_tick = on_tick
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "EventStream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to do: the thread ends with the service's output, and its queue with it."""

    def _read(self) -> None:
        with contextlib.suppress(Exception):  # whatever ends the stream, `expect` meets the silence with its deadline
            for line in self._service.lines(CONNECT_DEADLINE_S):
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict):
                        self._events.put(event)
        self._events.put(None)

    def expect(self, name: str, timeout_s: float) -> dict[str, Any]:
        """The next event of a name; ticks before it are passed on.

        Raises:
            MeasureError: it did not come in time, the service ended, or it reported an error.
        """
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        while True:
            event = self._next(deadline_ns)
            if event is not None and event.get("event") == name:
                return event
            if event is None:
                waited = f"{self._service.spec.name}: no {name!r} event"
                why = f"within {timeout_s:.0f} s" if self._service.running() else "before it ended"
                raise MeasureError(f"{waited} {why}; its last output:\n{self._service.logs()}")

    def pump_until(self, at_ns: int) -> None:
        """Pass ticks on until an instant of the monotonic clock.

        Raises:
            MeasureError: the service ended or reported an error meanwhile.
        """
        while time.monotonic_ns() < at_ns:
            if self._next(at_ns) is None and not self._service.running():
                raise MeasureError(
                    f"{self._service.spec.name} ended too early; its last output:\n{self._service.logs()}"
                )

    def _next(self, deadline_ns: int) -> dict[str, Any] | None:
        try:
            event = self._events.get(timeout=max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9))
        except queue.Empty:
            return None
        if event is not None and event.get("event") == "error":
            raise MeasureError(f"{self._service.spec.name}: {event.get('message')}")
        if event is not None and event.get("event") == "tick":
            self._on_tick(Tick(event["at_ns"], event["ok"], event["errors"], event["connections"]))
        return event


def fetch_report(client: Service) -> ClientReport:
    """The report of a client that is done.

    Raises:
        MeasureError: it left none.
        DeployError: it does not end.
    """
    client.wait(STEP_DEADLINE_S)
    try:
        return ClientReport.model_validate_json(client.fetch("client.json"))
    except FileNotFoundError:
        raise MeasureError(f"{client.spec.name}: the client left no report:\n{client.logs()}") from None


def server_usage(
    probed: Mapping[str, Any], client: ClientReport, server: ServerReport | None, cores: int
) -> ServiceUsage:
    """What the server used within the window.

    Amounts between two samples are scaled to the window's length: an edge is sampled some milliseconds late.

    Raises:
        MeasureError: the server was gone at an edge.
    """
    edges = [Sample.model_validate(edge) for edge in probed["edges"].get("server", [])]
    if len(edges) < 2:
        raise MeasureError("the server's processes were gone before the window ended")
    first, last = edges[0], edges[1]
    scale = (client.window_end_ns - client.window_start_ns) / (last.at_ns - first.at_ns)
    within = [
        sample
        for sample in map(Sample.model_validate, probed["samples"].get("server", []))
        if first.at_ns < sample.at_ns < last.at_ns
    ] + [first, last]
    throttled_s = None
    if first.throttled_s is not None and last.throttled_s is not None:
        throttled_s = (last.throttled_s - first.throttled_s) * scale
    return ServiceUsage(
        cores=cores,
        cpu_user_s=(last.cpu_user_s - first.cpu_user_s) * scale,
        cpu_system_s=(last.cpu_system_s - first.cpu_system_s) * scale,
        memory_bytes=_memory(edges, within),
        processes=max(sample.processes for sample in within),
        threads=max(sample.threads for sample in within),
        voluntary_switches=_switches("voluntary_switches", first, last, server, scale),
        involuntary_switches=_switches("involuntary_switches", first, last, server, scale),
        throttled_s=throttled_s,
        others_s=_others_s(probed["host"], first, last, scale),
    )


def _others_s(host: Sequence[Mapping[str, float]], first: Sample, last: Sample, scale: float) -> float:
    """CPU time on the server's cores within the window that was not the server's, a hypervisor's steal included."""
    at_edges = [min(host, key=lambda sample: abs(sample["at_ns"] - edge.at_ns)) for edge in (first, last)]
    taken_s = sum(at_edges[1][key] - at_edges[0][key] for key in ("watched_busy_s", "watched_steal_s"))
    own_s = last.cpu_user_s + last.cpu_system_s - first.cpu_user_s - first.cpu_system_s
    return max(0.0, (taken_s - own_s) * scale)


def _memory(edges: Sequence[Sample], within: Sequence[Sample]) -> int | None:
    with_pss = [edge.pss_bytes for edge in edges if edge.pss_bytes is not None]
    if with_pss:
        return with_pss[0]
    known = [sample.memory_bytes for sample in within if sample.memory_bytes is not None]
    return sum(known) // len(known) if known else None


def _switches(
    kind: Literal["voluntary_switches", "involuntary_switches"],
    first: Sample,
    last: Sample,
    server: ServerReport | None,
    scale: float,
) -> int | None:
    """Context switches within the window.

    Tasks that have ended are invisible to the probe, and only getrusage in the server knows them. So: what the
    server says of itself and its reaped children, and the probe of the children that live. Without the server's
    word, live tasks alone tell nothing when some have ended.
    """
    if server is None or len(server.marks) < 2:
        live: int = getattr(last, kind) - getattr(first, kind)
        return round(live * scale) if live >= 0 else None
    begin, end = server.marks[0], server.marks[1]
    own: int = getattr(end, kind) - getattr(begin, kind)
    children: int = getattr(last, f"child_{kind}") - getattr(first, f"child_{kind}")
    return max(0, round((own + children) * scale))
