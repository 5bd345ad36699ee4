"""The trial record: what is stored of a trial, and nothing derived that can be derived again.

`trial.json` is written last and atomically: a trial is finished when, and only when, that file is there. Fields
are documented one by one in docs/results.md, generated from here.

History of the format: 1, the first.
"""

from typing import Literal

from pydantic import Field

from harness.raw import BackendReport, ClientReport, FaultReport, MemoryLook, ServerReport
from harness.spec.experiment import Record, Trial

State = Literal["ok", "marked", "invalid", "failed", "void"]
Culprit = Literal[
    "nobody",
    "unknown",
    "server cpu",
    "client cpu",
    "client lag",
    "backend",
    "worker pool",
    "throttling",
    "errors",
    "fault",
]


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
    idle: MemoryLook | None = Field(None, description="Before the load's first connection; only where any are kept.")
    plateau: MemoryLook | None = Field(
        None, description="After the window, with the load's connections still held; only where any are kept."
    )


class CoreLoad(Record):
    """How busy the cores of one side were in the window, whoever kept them busy."""

    cpus: tuple[int, ...] = Field(description="Their numbers.")
    busy: float = Field(description="Share of their time, 0 to 1.")
    stolen: float = Field(description="Share of their time that a hypervisor took.")


class Check(Record):
    """One of the trial's doubts about itself."""

    name: Literal["served", "errors", "quiet", "apart", "steady", "schedule", "send-lag", "littles-law", "server-count"]
    passed: bool | None = Field(description="None: not checkable here, and why.")
    detail: str = Field(description="The numbers, in a sentence.")


class Verdict(Record):
    """Who gave out first, with the evidence."""

    limited_by: Culprit
    evidence: str


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
    client: ClientReport | None = Field(description="What the load client counted; none where it never reported.")
    servers: dict[str, ServerReport] = Field(
        description="By service: exit reports; none where counts are not checkable."
    )
    backend: BackendReport | None = Field(None, description="The backend's exit report, where there is a backend.")
    fault: FaultReport | None = Field(None, description="What was set off, where the trial asks for a fault.")
    usage: dict[str, ServiceUsage] = Field(description="By service: `server`, and `backend` where there is one.")
    cores: dict[Literal["server", "client", "backend"], CoreLoad] = Field(
        description="By side; of the backend only where it has cores of its own."
    )
    checks: tuple[Check, ...]
    verdict: Verdict | None
    notes: tuple[str, ...] = Field((), description="What went wrong without touching the numbers, such as cleaning up.")
