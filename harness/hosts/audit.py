"""Walls that a plan would hit on this host, found before the first trial instead of in its numbers. Pure.

What a client needs of files, ports and memory is looked after in `harness/clients.py`, which spreads it over processes
and addresses.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.hosts.settings import HostAudit

OWN_TASKS = 256
"""Processes and threads of harness, client and probe, and what else runs here."""

OPEN_FILES = "open files (RLIMIT_NOFILE, hard)"
"""The wall that a container engine may move, as it has limits of its own."""

SOCKET_BYTES = 4_096
"""Memory of a connection in the kernel at the server's end, idle: socket, inode, file, directory entry."""

TASK_BYTES = {"nothing": 0, "thread": 32 << 10, "process": 128 << 10}
"""The least that a thread or a process for each connection takes: kernel stack, task, pages touched, page tables."""

STEADY_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "xen")
"""Clock sources that are read without a call into the kernel, or nearly so."""


@dataclass(frozen=True)
class Need:
    """The most that any trial of a plan asks of the host."""

    open_files: int  # descriptors of one process of the server
    connections: int  # held at once
    backlog: int  # asked for in listen(2)
    tasks: int = 0  # processes and threads that the server makes, beside its first
    threads: int = 0  # of these, threads of one process: each maps a stack
    memory_bytes: int = 0  # of the server's end of the connections, the least it can be
    closed_per_s: float | None = 0.0  # connections that end per second; None: as many as the server can serve
    server_cores: int = 1
    cores: int = 1  # of server and client together
    within: bool = False  # servers and clients run in the harness's own cgroup: as local processes do


@dataclass(frozen=True)
class Wall:
    """A limit of the host that the plan meets."""

    name: str
    have: int | float | str
    need: int | float | str
    remedy: str  # the command that moves it
    fatal: bool  # a trial could not run; otherwise its numbers may be the wall's

    def __str__(self) -> str:
        return f"{self.name} is {self.have}, the plan needs {self.need}; {self.remedy}"


def audit(need: Need, host: HostAudit) -> list[Wall]:
    """Every wall of a host that lies below what is needed, the fatal ones first.

    Args:
        need: of the plan.
        host: its settings.
    """
    parts = (_files, _tasks, _memory, _queues, _tracking, _cpu_quota, _clocks)
    walls = [wall for part in parts for wall in part(need, host)]
    return sorted(walls, key=lambda wall: not wall.fatal)


def _files(need: Need, host: HostAudit) -> Iterator[Wall]:
    hard = host.limits["open_files"].stops(need.open_files)
    if hard is not None:
        remedy = f"run as root `ulimit -Hn {need.open_files}`, set nofile in /etc/security/limits.conf, or ask for fewer connections"
        yield Wall(OPEN_FILES, hard, need.open_files, remedy, fatal=True)
        yield from _sysctl(host, "fs.nr_open", need.open_files, fatal=True)
    yield from _sysctl(host, "fs.file-max", 2 * need.connections, fatal=True)


def _tasks(need: Need, host: HostAudit) -> Iterator[Wall]:
    tasks = need.tasks + OWN_TASKS
    hard = host.limits["processes"].stops(tasks)
    if need.within and not host.as_root and hard is not None:
        remedy = f"run as root `ulimit -Hu {tasks}`, or ask for fewer connections"
        yield Wall("processes of a user (RLIMIT_NPROC, hard)", hard, tasks, remedy, fatal=True)
    for name in ("kernel.pid_max", "kernel.threads-max"):
        yield from _sysctl(host, name, tasks, fatal=True)
    # A thread's stack is two mappings of its process: the stack, and its guard page.
    yield from _sysctl(host, "vm.max_map_count", 2 * need.threads + OWN_TASKS, fatal=True)
    limit, used = host.cgroup.pids_limit, host.cgroup.pids_used or 0
    if need.within and limit is not None and used + tasks > limit:
        remedy = "raise pids.max of the harness's cgroup (TasksMax= of its systemd unit, --pids-limit of its container), or ask for fewer connections"
        yield Wall("pids.max of the harness's cgroup", limit, used + tasks, remedy, fatal=True)


def _memory(need: Need, host: HostAudit) -> Iterator[Wall]:
    """Only what is certain: the least that the server's end can take. What a model really takes, its trials show."""
    remedy = "ask for fewer connections, or use a host with more memory"
    available, limit = host.memory_available_bytes, host.cgroup.memory_limit_bytes
    if available is not None and need.memory_bytes > available:
        yield Wall("memory available, bytes", available, need.memory_bytes, remedy, fatal=True)
    if need.within and limit is not None and need.memory_bytes > limit:
        remedy = f"raise it to {need.memory_bytes} or more, or ask for fewer connections"
        yield Wall("memory limit of the harness's cgroup, bytes", limit, need.memory_bytes, remedy, fatal=True)


def _queues(need: Need, host: HostAudit) -> Iterator[Wall]:
    yield from _sysctl(host, "net.core.somaxconn", need.backlog, fatal=False)
    yield from _sysctl(host, "net.ipv4.tcp_max_syn_backlog", min(need.backlog, need.connections), fatal=False)
    if host.number("net.ipv4.tcp_abort_on_overflow"):
        remedy = (
            "a full accept queue resets connections instead of letting them try again: errors in place of waiting;"
            " run as root `sysctl -w net.ipv4.tcp_abort_on_overflow=0`"
        )
        yield Wall("net.ipv4.tcp_abort_on_overflow", 1, 0, remedy, fatal=False)


def _tracking(need: Need, host: HostAudit) -> Iterator[Wall]:
    """Connection tracking, where it is at work: beyond its table new connections are dropped without a word."""
    most, tracked = (host.number(f"net.netfilter.nf_conntrack_{name}") for name in ("max", "count"))
    if most is None or not tracked:
        return
    name = "net.netfilter.nf_conntrack_max"
    if need.connections > most:
        yield from _sysctl(host, name, need.connections + most // 4, fatal=True)
        return
    lasting_s = host.number("net.netfilter.nf_conntrack_tcp_timeout_time_wait") or 120
    if need.closed_per_s is None or need.connections + need.closed_per_s * lasting_s > most:
        rate = "as many as the server serves" if need.closed_per_s is None else f"{need.closed_per_s:g}"
        remedy = (
            f"ended connections stay in the table for {lasting_s} s: run as root `sysctl -w {name}={4 * most}`,"
            f" or exempt the port (`iptables -t raw -A PREROUTING -p tcp --dport PORT -j NOTRACK`, and OUTPUT)"
        )
        asked = f"room for {need.connections} connections, and {rate} per second that end"
        yield Wall(name, most, asked, remedy, fatal=False)


def _cpu_quota(need: Need, host: HostAudit) -> Iterator[Wall]:
    quota = host.cgroup.cpu_quota_cores
    if need.within and quota is not None and quota < need.cores:
        remedy = "a quota stops everybody for a part of the time; start the harness without one (--cpuset-cpus instead of --cpus)"
        fatal = quota < need.server_cores
        yield Wall("CPU quota of the harness's cgroup, cores", round(quota, 2), need.cores, remedy, fatal)


def _clocks(need: Need, host: HostAudit) -> Iterator[Wall]:  # noqa: ARG001 - every plan needs the same of them
    source = host.clock_source
    if source is not None and source not in STEADY_CLOCKS:
        remedy = "each look at the clock is a slow call into the kernel; see dmesg for why tsc was given up, or run as root `echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource`"
        yield Wall("clock source", source, "tsc or its like", remedy, fatal=False)
    slow = [governor for governor in host.governors if governor != "performance"]
    if slow:
        remedy = "run as root `cpupower frequency-set -g performance`"
        yield Wall("CPU frequency governor", ", ".join(slow), "performance", remedy, fatal=False)


def shared_cores(server: Iterable[int], client: Iterable[int], host: HostAudit) -> list[Wall]:
    """Physical cores of which the server has one thread and the client's side another."""
    servers, clients = set(server), set(client)
    remedy = (
        "two threads of one core slow each other down: ask for fewer `limits.cores`, or run as root"
        " `echo off > /sys/devices/system/cpu/smt/control`"
    )
    return [
        Wall(f"physical core of CPUs {_listed(core)}", "shared by server and client", "one side", remedy, fatal=False)
        for core in host.siblings
        if servers & set(core) and (clients - servers) & set(core)
    ]


def _listed(core: Iterable[int]) -> str:
    return ", ".join(map(str, core))


def _sysctl(host: HostAudit, name: str, need: int, *, fatal: bool) -> Iterator[Wall]:
    have = host.number(name)
    if have is not None and have < need:
        yield Wall(name, have, need, f"run as root `sysctl -w {name}={need}`", fatal)
