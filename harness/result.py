"""The trial record: what is stored of a trial, and nothing derived that can be derived again.

`trial.json` is written last and atomically: a trial is finished when, and only when, that file is there. Fields
are documented one by one in docs/results.md, generated from here.

History of the format: 1, the first. Fields that came later have defaults, so that older records are read as they are.
"""

from typing import Literal

from pydantic import Field, model_validator

from harness.raw import (
    BackendReport,
    BalancerReport,
    ClientReport,
    FaultReport,
    MemoryLook,
    ServerReport,
    TimedFaultReport,
)
from harness.spec.experiment import Record, Trial

State = Literal["ok", "marked", "invalid", "failed", "void"]
Side = Literal["server", "client", "backend", "balancer"]
"""Of a measurement, where it has cores of its own."""

Culprit = Literal[
    "nobody",
    "unknown",
    "server cpu",
    "client cpu",
    "client lag",
    "backend",
    "balancer",
    "worker pool",
    "throttling",
    "errors",
    "fault",
    "run queue",
    "steal",
    "memory",
    "open files",
    "ports",
    "client files",
    "listen queue",
    "network",
]


class NetworkUse(Record):
    """What happened in a service's network namespace between the window's edges; counts are differences."""

    interval_s: float = Field(gt=0, description="Time between the two looks.")
    listen_overflows: int = Field(description="Connections that found the accept queue full.")
    listen_drops: int = Field(description="SYNs and connections dropped by listeners.")
    syn_drops: int = Field(description="SYNs dropped as the SYN queue was full.")
    syn_cookies: int = Field(description="SYNs answered with a cookie instead.")
    retransmits: int = Field(description="Segments sent again.")
    time_wait: int = Field(description="Most sockets seen in TIME_WAIT.")
    accept_queue: float | None = Field(description="Mean number of connections seen waiting for accept.")
    accept_queue_most: int | None = Field(description="Most of them seen.")
    accept_queue_limit: int | None = Field(description="As many may wait.")
    accept_queue_waiting: float | None = Field(description="Share of the looks that saw any waiting.")
    link_share: float | None = Field(
        description="Of what its link carries, the busier direction; none on loopback or untold."
    )


class ServiceUsage(Record):
    """What a service used between two looks of the probe, one at each edge of the window.

    A look may come some milliseconds late: amounts belong to `interval_s`, not to the window, and are compared as rates.
    """

    interval_s: float = Field(gt=0, description="Time between the two looks.")
    cores: int = Field(description="Cores it was given.")
    cpu_user_s: float = Field(description="In the interval.")
    cpu_system_s: float = Field(description="In the interval.")
    memory_bytes: int | None = Field(
        description="Docker: mean cgroup memory over the window. Processes: PSS while connections are still held after it; none where none are held."
    )
    processes: int = Field(description="Most seen in the window.")
    threads: int = Field(description="Most seen in the window.")
    voluntary_switches_per_s: float | None = Field(description="None where they cannot be told.")
    involuntary_switches_per_s: float | None
    throttled_s: float | None = Field(
        description="Time in the interval that the CPU quota held it back; none where there is no cgroup."
    )
    minor_faults_per_s: float | None = Field(
        None, description="Page faults without I/O, of all its processes and of the children they have reaped."
    )
    major_faults_per_s: float | None = Field(None, description="The same, faults that had to read from a disk.")
    descriptors: int | None = Field(
        None,
        description="Open descriptors of its main process, the more of both looks; none where they cannot be read.",
    )
    fullest_descriptors: int | None = Field(
        None, description="Most open descriptors, at an edge, of the process closest to its limit."
    )
    descriptor_limit: int | None = Field(None, description="That process's limit of open files.")
    run_delay_share: float | None = Field(
        None, description="Time that its tasks were ready to run and did not, over the interval and its cores."
    )
    memory_limit_bytes: int | None = Field(None, description="Its cgroup's memory limit.")
    memory_limit_hits: int | None = Field(None, description="How often its cgroup ran into it in the interval.")
    oom_kills: int | None = Field(
        None, description="Its processes that the kernel killed for memory, by the interval's end."
    )
    network: NetworkUse | None = Field(None, description="What happened in its network namespace in the interval.")
    idle: MemoryLook | None = Field(None, description="Before the load's first connection; only where any are kept.")
    plateau: MemoryLook | None = Field(
        None, description="After the window, with the load's connections still held; only where any are kept."
    )


class CoreLoad(Record):
    """How busy the cores of one side were in the window, whoever kept them busy."""

    cpus: tuple[int, ...] = Field(description="Their numbers.")
    busy: float = Field(description="Share of their time, 0 to 1.")
    stolen: float = Field(description="Share of their time that a hypervisor took.")


class HostUse(Record):
    """One host of a trial that ran over several."""

    boot_id: str = Field(description="Of its kernel: another one afterwards, and the trial is void.")
    services: tuple[str, ...] = Field(description="That ran there, probes apart.")
    clock_offset_ns: int = Field(description="Its CLOCK_MONOTONIC less the controller's, before the trial.")
    clock_error_ns: int = Field(description="The offset is right within this: half of the shortest round trip.")
    clock_moved_ns: int | None = Field(None, description="By how much the offset was another one afterwards.")
    cores: dict[Side, CoreLoad] = Field({}, description="By side, of those that ran there.")


class ClientShare(Record):
    """The part of a load that one of several clients made: for seeing whether they agree."""

    host: str
    processes: int
    connections: int
    intended: int
    ok: int
    errors: int
    start_late_ns: int | None = Field(
        description="By how much it really began after the instant that all were told, each in its own host's clock: two clients are as far apart as these are, within the errors of both clocks (`clock_error_ns` of `hosts`). None: it did not say."
    )
    percentiles_us: dict[str, float | None] = Field(
        description="Of its response times: p50, p99; none where the sample cannot carry it."
    )


class Check(Record):
    """One of the trial's doubts about itself."""

    name: Literal[
        "served",
        "errors",
        "closes",
        "quiet",
        "apart",
        "steady",
        "schedule",
        "send-lag",
        "littles-law",
        "server-count",
        "clients-agree",
    ]
    passed: bool | None = Field(description="None: not checkable here, and why.")
    detail: str = Field(description="The numbers, in a sentence.")


class Suspect(Record):
    """Somebody who could have given out, with the evidence."""

    limited_by: Culprit
    evidence: str


class Verdict(Suspect):
    """Who gave out first, with the evidence."""

    also: tuple[Suspect, ...] = Field((), description="Whatever else held, in order: hidden behind the first.")


class SearchStep(Record):
    """One trial of a search for capacity, at one rate, on the same server."""

    rate_rps: float = Field(gt=0, allow_inf_nan=False, description="Offered rate.")
    window_s: float = Field(description="Length of its window.")
    purpose: Literal["double", "bisect", "confirm"] = Field(description="What it was for.")
    met: bool | None = Field(description="Whether it met the SLO; none: it says nothing, as the client gave out.")
    why: str = Field(description="By which numbers.")
    throughput_rps: float = Field(description="Right answers per second.")
    errors: float = Field(description="Share of requests without a right answer in time.")
    percentiles_us: dict[str, float | None] = Field(
        description="Of the response time, those that the SLO names; none where the sample cannot carry it, infinite beyond the timeout."
    )
    limited_by: Culprit = Field(description="Who gave out first.")


class Capacity(Record):
    """What a search found: the highest rate that meets the SLO lies between `low_rps` and `high_rps`."""

    low_rps: float | None = Field(
        gt=0, allow_inf_nan=False, description="Highest rate confirmed to meet it; none: none did."
    )
    high_rps: float | None = Field(
        gt=0,
        allow_inf_nan=False,
        description="Lowest rate above that did not; none: none failed before the search ended.",
    )
    ended: Literal["found", "client gave out", "too many trials", "none met"] = Field(
        description="How the search ended."
    )
    steps: tuple[SearchStep, ...] = Field(description="In the order in which they ran; the last confirms.")
    life_ok: int = Field(description="Right answers over all of them but the last.")
    life_unknown: int = Field(description="Requests of unknown fate over all of them but the last.")

    @model_validator(mode="after")
    def _in_order(self) -> "Capacity":
        if self.low_rps is not None and self.high_rps is not None and self.low_rps >= self.high_rps:
            raise ValueError(f"`low_rps` is {self.low_rps} and `high_rps` is {self.high_rps}, not above it")
        return self


class Attempt(Record):
    """An earlier run of the same trial, that the client limited; it was made again with one more client process."""

    clients: int = Field(description="Client processes that it had.")
    reason: str = Field(description="Why it said nothing about the server.")
    throughput_rps: float = Field(description="What it measured all the same.")


class TrialResult(Record):
    """`trial.json`: everything that is kept of one trial."""

    format: Literal[1] = 1
    id: str
    point: str
    repeat: int
    block: int
    order: int
    factors: dict[str, str]
    trial: Trial = Field(description="The complete trial, as planned.")
    runtime: Literal["docker", "process"]
    state: State = Field(
        description="ok; marked: done, a check doubts it; invalid: says nothing about the server; failed; void: to be run again."
    )
    reason: str | None = Field(description="Why it is not ok.")
    started: str = Field(description="Wall clock, ISO 8601, UTC.")
    elapsed_s: float = Field(description="Whole time of the trial, from first to last action.")
    overhead_s: float = Field(description="Of it, beyond warm-up and window.")
    clients: int = Field(1, description="Client processes that made the load.")
    attempts: tuple[Attempt, ...] = Field((), description="Runs of it with fewer client processes, which gave out.")
    capacity: Capacity | None = Field(
        None,
        description="Kind `capacity`: what the search found. `client`, `usage` and `checks` are then of its last trial.",
    )
    client: ClientReport | None = Field(description="What the load client counted; none where it never reported.")
    servers: dict[str, ServerReport] = Field(
        description="By service (`server`, or `server-1`, … where there are several): exit reports; none where counts are not checkable."
    )
    backend: BackendReport | None = Field(None, description="The backend's exit report, where there is a backend.")
    fault: FaultReport | None = Field(None, description="What was set off, where the trial asks for a fault.")
    balancer: BalancerReport | None = Field(None, description="The balancer's exit report, where there is one.")
    faults: tuple[TimedFaultReport, ...] = Field((), description="What was broken on purpose, in the spec's order.")
    hosts: dict[str, HostUse] = Field({}, description="By name, of an inventory; none where all ran on this machine.")
    client_shares: tuple[ClientShare, ...] = Field(
        (), description="Of several clients, one by one; `client` is all of them together."
    )
    usage: dict[str, ServiceUsage] = Field(
        description="By service: `server` (of several `server-1`, …), `balancer`, `backend` where there is one, and `client`: by its own word, but for its network namespace."
    )
    cores: dict[Side, CoreLoad] = Field(
        description="By side; of the backend and the balancer only where they have cores of their own. Over several hosts, the busiest of each side."
    )
    checks: tuple[Check, ...]
    verdict: Verdict | None
    notes: tuple[str, ...] = Field((), description="What went wrong without touching the numbers, such as cleaning up.")
