"""What the services of a trial leave: the reports of client, server, backend and probe, as they come.

The contract (docs/contract/) says who writes them; their JSON Schemas are made from here.
"""

from typing import Literal

from pydantic import Field

from harness.spec.experiment import Record

HistogramName = Literal["response", "service", "first_byte", "connect", "send_lag"]


class ClientReport(Record):
    """What one load client counted; written by images/client (docs/contract/client.md). All times monotonic."""

    format: Literal[1] = 1
    start_ns: int = Field(
        description="Start of the load (first intended send), CLOCK_MONOTONIC of the client's host, ns."
    )
    window_start_ns: int = Field(description="Start of the window.")
    window_end_ns: int = Field(description="End of the window.")
    intended: int = Field(
        description="Requests whose intended send time lies in the window. Closed loop: requests sent in it."
    )
    sent: int = Field(description="Of these, sent.")
    ok: int = Field(
        description="Of these, answered rightly (the status and length expected, 2xx where none is; whole body) in time."
    )
    errors: dict[str, int] = Field(
        description="Of these, by kind: timeout, refused, reset, closed, status, wrong (another length of body than expected), malformed, unsent, connect-timeout, other."
    )
    schedule: int | None = Field(
        description="Open loop: requests the schedule holds in the window, by arithmetic; closed: none."
    )
    completed_in_window: int = Field(
        description="Right answers that arrived within the window, whenever sent: throughput × window."
    )
    in_flight_integral_s: float = Field(
        ge=0,
        description="Integral over the window of requests in flight (sent, not yet answered) on served connections, request-seconds; from the actual send.",
    )
    in_flight_starved_integral_s: float = Field(ge=0, description="The same on starved connections.")
    residence_s: float = Field(
        ge=0, description="Sum of service times of the requests completed in the window, seconds."
    )
    connections_opened: int = Field(description="Connections opened over the client's whole life.")
    connections_lost: int | None = Field(
        None,
        description="Kept connections that had been answered on, and that the server, or its end, closed or reset in the window without being asked to, with a request under way or idle. Connections that were refused, or taken and never answered on, are errors, and not among them.",
    )
    connections_served: int = Field(
        description="Of the connections asked for (`load.connections`), those that got an answer in the window."
    )
    connections_starved: int = Field(description="Those that got none.")
    connect_missing: int = Field(
        description="Connects begun, as `connect` counts them, that never succeeded: no value there, and not to be left out of a percentile. With the values they are all that were begun."
    )
    first_byte_missing: int = Field(
        description="The same of `first_byte`: connections whose first answer never began. `per-request`: unsent requests too, so that with the values they are all requests intended."
    )
    life_ok: int = Field(description="Right answers over the whole life: warm-up, window, drain.")
    life_unknown: int = Field(
        description="Requests sent over the whole life without a right answer: the server may have counted them or not."
    )
    bytes_received: int = Field(description="Bytes received in the window.")
    per_100ms: tuple[int, ...] = Field(description="Right answers in each 100 ms of the window.")
    cpu_user_s: float = Field(description="Own CPU, user, in the window.")
    cpu_system_s: float = Field(description="Own CPU, system, in the window.")
    histograms: dict[HistogramName, dict[int, int]] = Field(
        description="Bucket index: count, ns (harness/histogram.py); over intended times in the window."
    )


class ServerMark(Record):
    """A server's counters at one instant; written by images/common (docs/contract/README.md).

    A server tells what it knows: only `at_ns` and `connections` are asked of every server that counts.
    """

    at_ns: int = Field(description="CLOCK_MONOTONIC of the server's host, ns.")
    requests: int | None = Field(
        None, description="Requests answered; none where the server was told not to count them (`stats: off`)."
    )
    connections: int = Field(description="Connections served (accepted and given to a handler).")
    accepts: int | None = Field(None, description="Successful accept calls.")
    forks: int | None = Field(None, description="Processes made.")
    threads: int | None = Field(None, description="Threads made.")
    wakeups: int | None = Field(None, description="Returns of epoll_wait (and its like).")
    accept_eagains: int | None = Field(
        None,
        description="Accept calls that found nothing waiting, such as those of workers that lost the race for a connection.",
    )
    backend_calls: int | None = Field(None, description="Calls to the backend, whatever came of them.")
    backend_errors: int | None = Field(None, description="Of these, calls without a right answer in time.")
    connections_by_worker: tuple[int, ...] | None = Field(
        None, description="Connections served by each worker, where workers are made ahead; a replacement counts on."
    )
    bad_requests: int | None = Field(None, description="Requests refused with 400, 413, 431, 501 or 505.")
    cpu_user_s: float | None = Field(None, description="getrusage, self and reaped children, user.")
    cpu_system_s: float | None = Field(None, description="The same, system.")
    voluntary_switches: int | None = Field(None, description="The same, voluntary context switches.")
    involuntary_switches: int | None = Field(None, description="The same, involuntary ones.")
    minor_faults: int | None = Field(None, description="The same, page faults without I/O.")


class ServerReport(ServerMark):
    """The exit report of a server with `counts: exact`: the exact totals of its whole life, and the marks before."""

    contract: Literal[1] = 1
    model: str
    python: str | None = Field(None, description="Version of the interpreter, where there is one.")
    switch_interval_s: float | None = Field(None, description="sys.getswitchinterval().")
    ballast_huge_bytes: int | None = Field(
        None,
        description="Of the model's ballast, where it has one: what the kernel put on huge pages (AnonHugePages) when it was first written to.",
    )
    marks: tuple[ServerMark, ...] = Field(description="One per SIGUSR1: the window's start and end.")


class BackendReport(Record):
    """The exit report of the backend; written by images/backend (docs/contract/README.md)."""

    format: Literal[1] = 1
    requests: int = Field(description="Requests received over its whole life.")
    answers: int = Field(description="Of these, answered.")
    connections: int = Field(description="Connections accepted.")
    cpu_user_s: float = Field(description="getrusage, user.")
    cpu_system_s: float = Field(description="The same, system.")
    delays_ns: dict[int, int] = Field(
        description="The delays that it really made, from a request received to its answer handed to the kernel: bucket index: count, ns (harness/histogram.py)."
    )


class FaultReport(Record):
    """What was done to set the fault off, and what came of it."""

    kind: Literal["crash", "exit", "hang", "deadlock", "leak"]
    sent_ns: int | None = Field(
        description="When the request for it was sent, CLOCK_MONOTONIC; none: it could not be sent any more."
    )
    outcome: Literal["answered", "closed", "reset", "silence", "not sent"] = Field(
        description="What came back on its connection: an answer, its end, a reset, or nothing within the deadline."
    )
    after_s: float | None = Field(description="How long after it was sent; none with silence.")
    detail: str = Field("", description="In the words of the system, where there are any.")


class Sample(Record):
    """One look of the probe at one service."""

    at_ns: int = Field(description="CLOCK_MONOTONIC, ns.")
    cpu_user_s: float
    cpu_system_s: float
    memory_bytes: int | None = Field(
        description="cgroup usage less inactive file cache; none for plain processes (see MemoryLook)."
    )
    processes: int
    threads: int
    voluntary_switches: int | None = Field(
        description="Sum over live tasks; read at edges only, as hundreds of tasks are dear to read."
    )
    involuntary_switches: int | None
    child_voluntary_switches: int | None = Field(description="Of these, tasks of other processes than the main one.")
    child_involuntary_switches: int | None
    minor_faults: int | None = Field(
        description="Page faults without I/O of live processes and of the children they have reaped; read at edges only."
    )
    major_faults: int | None = Field(description="The same, faults that had to read from a disk.")
    throttled_s: float | None = Field(description="Time the CPU quota held it back; none where there is no cgroup.")
    descriptors: int | None = Field(description="Open descriptors of the main process; read at edges only.")


class MemoryLook(Record):
    """What a service holds in memory at one instant, outside the window: of its processes, and of the kernel for it."""

    at_ns: int = Field(description="CLOCK_MONOTONIC, ns.")
    processes: int
    threads: int
    pss_bytes: int | None = Field(
        description="Sum of proportional set sizes: what processes share is divided among them. None where the probe may not look."
    )
    pss_file_bytes: int | None = Field(description="Of this, pages of files: programs and libraries.")
    page_table_bytes: int | None = Field(description="Page tables of its processes (VmPTE).")
    kernel_stack_bytes: int = Field(
        description="Its threads, times the size of a thread's stack in the kernel (16 KiB, or a page where pages are larger)."
    )
    connections: int | None = Field(
        description="Accepted connections that its processes hold; none where the sockets cannot be seen, as in another network namespace."
    )
    socket_queued_bytes: int | None = Field(
        description="Of these, what is queued in the kernel, both ways (sock_diag, SKMEMINFO)."
    )
    socket_reserved_bytes: int | None = Field(
        description="Of these, what the kernel has set aside for more (`fwd_alloc`): it counts against limits, and is no memory yet."
    )
    socket_structure_bytes: int | None = Field(
        description="Of these, the kernel's own structures, by their sizes in /proc/slabinfo: socket, inode, file, directory entry; none where only root may read it."
    )
    cgroup_bytes: int | None = Field(
        description="The cgroup's usage less inactive file cache; none for plain processes."
    )


class ProbeReport(Record):
    """`probe.json`: what the probe saw, from its start to its end."""

    format: Literal[1] = 1
    samples: dict[str, tuple[Sample, ...]] = Field(description="By service, at regular times.")
    edges: dict[str, tuple[Sample, ...]] = Field(description="By service, at the window's start and end.")
    memory: dict[str, tuple[MemoryLook, ...]] = Field(
        {}, description="By service, when asked for: before the load connects, and after the window."
    )
    host: tuple[dict[str, float], ...] = Field(
        description="With each of them: at_ns, cpu_busy_s, steal_s, run_queue, and of each watched set of CPUs <set>_busy_s, <set>_steal_s."
    )
