"""What the services of a trial leave: the reports of client, server, backend and probe, as they come.

The contract (docs/contract/) says who writes them; their JSON Schemas are made from here.
"""

from typing import Literal

from pydantic import Field

from harness.spec.cluster import FaultAction
from harness.spec.experiment import Record

HistogramName = Literal["response", "service", "first_byte", "connect", "send_lag"]


class Phase(Record):
    """A part of the window under one rate, or one of a ramp's tenths: the same counts as of the whole."""

    from_ns: int = Field(description="Its start.")
    to_ns: int = Field(description="Its end.")
    rate_per_s: float | None = Field(description="What the schedule offers in it on average, requests per second.")
    intended: int = Field(description="Requests whose intended send time lies in it.")
    sent: int = Field(description="Of these, sent.")
    ok: int = Field(description="Of these, answered rightly in time.")
    errors: dict[str, int] = Field(description="Of these, by kind.")
    completed: int = Field(description="Right answers that arrived within it, whenever sent.")
    histograms: dict[HistogramName, dict[int, int]] = Field(description="`response`, `service` and `send_lag`.")


class MixShare(Record):
    """What came of one kind of request of a mix, in the order of the configuration."""

    intended: int = Field(description="Requests of the window that were of this kind.")
    ok: int = Field(description="Of these, answered rightly in time.")
    errors: dict[str, int] = Field(description="Of these, by kind of error.")
    response: dict[int, int] = Field(description="Histogram of the response times.")


class ClientProcess(Record):
    """One process of a load client."""

    cpus: tuple[int, ...] = Field(description="CPUs that it might run on.")
    connections: int = Field(description="Its share of the connections.")
    cpu_user_s: float = Field(description="Own CPU, user, in the window.")
    cpu_system_s: float = Field(description="Own CPU, system, in the window.")
    run_delay_s: float | None = Field(
        None, description="Time in the window that it was ready to run and did not (/proc/self/schedstat)."
    )
    bytes_per_connection: float | None = Field(
        None, description="Growth of its memory over the connect phase, per connection; none with few of them."
    )


class Growth(Record):
    """Kind `hold`: what became of the connections that came in the window, on top of those held from the start."""

    begun: int = Field(description="New connections begun.")
    served: int = Field(description="Of these, answered in time; they are held from then on.")
    held: int = Field(description="Connections open and answered on at the window's end, old and new.")
    first_failed_at: int | None = Field(
        description="Connections held (open and answered on) when the first new one that failed was begun; none: all were answered."
    )
    failure: str | None = Field(description="How that one ended: a kind of error.")


class ServerShare(Record):
    """What a load client had of one of several servers among which it spread its connections."""

    connections: int = Field(description="Of the connections asked for, those that went to it.")
    completed_in_window: int = Field(description="Right answers from it that arrived within the window.")
    failed_in_window: int = Field(description="Requests on its connections that were known to have failed within it.")
    life_ok: int = Field(description="Right answers from it over the whole life.")


class ClientReport(Record):
    """What one load client counted; written by images/client (docs/contract/client.md). All times monotonic."""

    format: Literal[1] = 1
    start_ns: int = Field(
        description="Start of the load (first intended send), CLOCK_MONOTONIC of the client's host, ns."
    )
    begun_ns: int | None = Field(
        None,
        description="When it really began to send, by a look at that clock: the last of its processes. None in older reports.",
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
        description="Of these, by kind: timeout, refused, reset, closed, status, wrong (another length of body than expected), malformed, unsent, connect-timeout, no-port and no-file (the client had no port, or might open no more files), other."
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
    connections_unclosed: int | None = Field(
        None,
        description="Connections that the server was to close after an answer, and did not until the request's deadline, when the client closed them: those that waited for it in the window. None: the client did not tell yet.",
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
    errors_per_100ms: tuple[int, ...] = Field(
        (),
        description="Requests that failed in each 100 ms of the window, by when that was known; none in older reports.",
    )
    cpu_user_s: float = Field(description="Own CPU, user, in the window, of all its processes.")
    cpu_system_s: float = Field(description="The same, system.")
    processes: tuple[ClientProcess, ...] = Field(
        (), description="One by one; none in reports before there were several."
    )
    phases: tuple[Phase, ...] = Field((), description="Several rates: the window part by part.")
    mix: tuple[MixShare, ...] = Field((), description="A mix of requests: kind by kind.")
    growth: Growth | None = Field(None, description="Kind `hold` with growth.")
    by_server: tuple[ServerShare, ...] = Field(
        (),
        description="One by one, where the configuration names several `servers`, in its order; the first is `server-1`.",
    )
    histograms: dict[HistogramName, dict[int, int]] = Field(
        description="Bucket index: count, ns (harness/histogram.py); over intended times in the window."
    )


class ServerMark(Record):
    """A server's counters at one instant; written by images/common (docs/contract/README.md).

    A server tells what it knows: only `at_ns` is asked of every server that counts, and a word on `connections`: their number, or that it is not known.
    """

    at_ns: int = Field(description="CLOCK_MONOTONIC of the server's host, ns.")
    requests: int | None = Field(
        None,
        description="Requests answered; none where the server was told not to count them (`stats: off`), or could not be asked at that instant.",
    )
    connections: int | None = Field(
        description="Connections served (accepted and given to a handler); none where the server does not count them, or could not be asked."
    )
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
    program: str | None = Field(
        None, description="Name and version of the program, as it calls itself, where it is none of ours."
    )
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


class BalancedServer(Record):
    """What a balancer counted of one server behind it, over its whole life; in HAProxy's own words in brackets."""

    name: str = Field(description="The service's name in the trial.")
    state: str = Field(description="As the balancer calls it (`status`).")
    connections: int = Field(
        description="Sessions given to it (`stot`): by connection those of clients; by request as many as requests."
    )
    requests: int | None = Field(None, description="Requests given to it (`req_tot`); none by connection.")
    connections_now: int = Field(0, description="Sessions that it has at this instant (`scur`).")
    connections_most: int = Field(description="Most at once (`smax`).")
    opened: int | None = Field(None, description="Connects to it that were begun (`connect`).")
    reused: int | None = Field(
        None, description="Requests that went over a connection which was there already (`reuse`); 0 by connection."
    )
    queue_most: int = Field(description="Most that waited for it in the balancer (`qmax`).")
    connect_errors: int = Field(description="Connects to it that failed (`econ`).")
    response_errors: int = Field(description="Answers that failed or broke off (`eresp`).")
    retries: int = Field(description="Connects tried again (`wretr`).")
    redispatches: int = Field(description="Requests given to another one instead (`wredis`).")
    checks_failed: int = Field(description="Health checks that failed while it was up (`chkfail`).")
    times_down: int = Field(description="Transitions from up to down (`chkdown`).")
    down_s: float = Field(description="Time that it was down (`downtime`).")
    bytes_in: int = Field(description="From clients to it (`bin`).")
    bytes_out: int = Field(description="From it to clients (`bout`).")


class BalancerMark(Record):
    """A balancer's counters at one instant."""

    at_ns: int = Field(description="CLOCK_MONOTONIC of its host, ns.")
    connections: int = Field(description="Taken from clients (`stot` of the frontend).")
    requests: int | None = Field(None, description="Taken from clients (`req_tot`); none by connection.")
    connections_now: int = Field(description="Held at this instant (`scur`).")
    connections_most: int | None = Field(None, description="Most held at once until then (`smax`).")
    queued_now: int = Field(description="That wait in the balancer at this instant (`qcur` of the backend).")
    queue_most: int | None = Field(
        None, description="Most that waited in it for any server at once until then (`qmax` of the backend)."
    )
    servers: tuple[BalancedServer, ...] = Field(description="One by one.")


class BalancerEvent(Record):
    """A server that a balancer ceased, or began again, to use; noted as the balancer says so."""

    at_ns: int = Field(description="CLOCK_MONOTONIC of its host, ns.")
    server: str = Field(description="The service's name in the trial.")
    state: Literal["up", "down"]
    why: str = Field("", description="What the last check said, in the balancer's words.")


class BalancerReport(BalancerMark):
    """The exit report of a balancer: its totals, and the marks before; written by images/haproxy."""

    format: Literal[1] = 1
    version: str = Field(description="Of the program.")
    started_ns: int = Field(description="When it could take connections, CLOCK_MONOTONIC of its host.")
    checks_most: int = Field(
        description="Health checks that each server got at most: life over interval, and those cut off."
    )
    connections_limit: int = Field(description="Most that it may hold from clients (`slim` of the frontend).")
    marks: tuple[BalancerMark, ...] = Field(description="One per SIGUSR1: the window's start and end.")
    events: tuple[BalancerEvent, ...] = Field((), description="In the order in which they were seen.")


class TimedFaultReport(Record):
    """What was done at its time, by the controller. All times in the clock of the stored client report."""

    do: FaultAction
    server: int = Field(description="To which server: 1, 2, …")
    host: str = Field(description="On which host.")
    planned_ns: int = Field(description="When it was due.")
    began_ns: int | None = Field(description="When it was begun; none: it was not.")
    done_ns: int | None = Field(description="When it was known to be done.")
    undone_ns: int | None = Field(None, description="When it was known to be undone; none: it was not before the end.")
    outcome: Literal["done", "failed", "not begun"]
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
    fullest_descriptors: int | None = Field(
        None, description="Open descriptors of the process that is closest to its limit; read at edges only."
    )
    descriptor_limit: int | None = Field(None, description="That process's limit of open files (soft).")
    run_delay_s: float | None = Field(
        None,
        description="Time that its live tasks were ready to run and did not, over their lives (/proc/PID/task/*/schedstat); read at edges only.",
    )
    memory_limit_bytes: int | None = Field(
        None, description="Memory limit of its cgroup; none: no limit, or no cgroup."
    )
    memory_limit_hits: int | None = Field(
        None,
        description="How often its cgroup ran into the limit (v2: events `max`; v1: failcnt, of memory and of memory with swap).",
    )
    oom_kills: int | None = Field(None, description="Processes of its cgroup that the kernel killed for memory.")


class NetworkLook(Record):
    """Counters of a service's network namespace at one instant, and the queue of the port it listens on.

    With host networking the namespace is the host's: its counters hold what others do there, too.
    """

    at_ns: int = Field(description="CLOCK_MONOTONIC, ns.")
    listen_overflows: int = Field(description="Connections that found the accept queue full (TcpExt ListenOverflows).")
    listen_drops: int = Field(description="SYNs and connections dropped by listeners for any reason (ListenDrops).")
    syn_drops: int = Field(description="SYNs dropped as the SYN queue was full (TCPReqQFullDrop).")
    syn_cookies: int = Field(description="SYNs answered with a cookie instead (TCPReqQFullDoCookies).")
    retransmits: int = Field(description="Segments sent again (Tcp RetransSegs).")
    resets_sent: int = Field(description="Resets sent (Tcp OutRsts).")
    time_wait: int = Field(description="Sockets in TIME_WAIT.")
    orphans: int = Field(description="Sockets without a process, of the whole host.")
    accept_queue: int | None = Field(None, description="Connections that wait for accept at the service's port.")
    accept_queue_limit: int | None = Field(
        None, description="As many may wait there: the smaller of backlog and somaxconn."
    )
    bytes_received: int | None = Field(
        None,
        description="Of the interfaces with hardware behind them; of all but loopback where none has, or in another namespace than the probe's.",
    )
    bytes_sent: int | None = Field(None, description="Of the same.")
    link_bytes_per_s: int | None = Field(
        None, description="What the fastest of these interfaces carries each way; none: not told."
    )


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
    network: dict[str, tuple[NetworkLook, ...]] = Field(
        {},
        description="By service with a port, at regular times and at the window's edges: its network namespace; `client`: the probe's own, which the load client shares.",
    )
    host: tuple[dict[str, float], ...] = Field(
        description="With each of them: at_ns, cpu_busy_s, steal_s, run_queue, and of each watched set of CPUs <set>_busy_s, <set>_steal_s."
    )
