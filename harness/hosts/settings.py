"""Every setting of the host that may be a wall, or that moves numbers: `audit` of environment.json.

Each is None where the host does not tell. None holds a path or a name of the machine or its user, since reports are
made to be passed on.
"""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.hosts.cgroup import CgroupLimits, own_cgroup_limits
from harness.hosts.cpu import governors, mitigations, siblings, turbo
from harness.hosts.read import number, selected, text
from harness.hosts.vantage import UNLIMITED, Vantage, own_vantage
from harness.spec.experiment import Record

SYSCTLS = (
    "net.core.somaxconn",
    "net.core.netdev_max_backlog",
    "net.core.busy_poll",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
    "fs.file-max",
    "fs.file-nr",
    "fs.nr_open",
    "kernel.pid_max",
    "kernel.threads-max",
    "kernel.randomize_va_space",
    "kernel.numa_balancing",
    "kernel.sched_autogroup_enabled",
    "vm.max_map_count",
    "vm.overcommit_memory",
    "vm.swappiness",
)


class Limit(Record):
    """A resource limit of the harness, which what it starts inherits."""

    soft: int | Literal["unlimited"] = Field(description="In force.")
    hard: int | Literal["unlimited"] = Field(description="As far as it may be raised.")

    def stops(self, need: int) -> int | None:
        """The hard limit, where it lies below a need."""
        return self.hard if isinstance(self.hard, int) and self.hard < need else None


class HostAudit(Record):
    """`audit` of `environment.json`: the host's walls, and what else moves numbers, when the run began."""

    kernel: str | None = Field(description="Release of the kernel.")
    as_root: bool = Field(description="Whether the harness runs as the host's root, whom no limit of processes binds.")
    clock_source: str | None = Field(description="Of the kernel's clocks.")
    timer_slack_ns: int | None = Field(description="How late the kernel may wake a sleeper, to save wake-ups.")
    switch_interval_s: float = Field(description="Python's, of the harness: models tell theirs in their exit reports.")
    load_average: tuple[float, ...] | None = Field(description="Over 1, 5 and 15 minutes.")
    memory_available_bytes: int | None = Field(description="That can be had without swapping.")
    governors: tuple[str, ...] = Field(
        description="Frequency governors in use; none where the host shows no such thing."
    )
    turbo: bool | None = Field(description="Whether the clock may rise above its nominal rate.")
    smt: str | None = Field(description="Hyper-threading: on, off, forceoff, notsupported.")
    siblings: tuple[tuple[int, ...], ...] = Field(description="CPUs that share a physical core, core by core.")
    mitigations: dict[str, str | None] = Field(description="Vulnerability: what the kernel does about it.")
    transparent_huge_pages: str | None = Field(description="always, madvise or never.")
    transparent_huge_pages_defrag: str | None = Field(description="When the kernel makes room for them.")
    limits: dict[str, Limit] = Field(description="Resource limits: open_files, processes, stack_bytes and others.")
    cgroup: CgroupLimits = Field(description="Limits of the harness's own cgroups, where local processes run, too.")
    sysctls: dict[str, int | str | None] = Field(
        description="Settings under /proc/sys: queues, ports, TIME_WAIT, connection tracking, files, tasks, mappings."
    )

    def number(self, name: str) -> int | None:
        """A sysctl that is one number; None where the kernel has none of that name."""
        value = self.sysctls.get(name)
        return value if isinstance(value, int) else None


def collect_settings(root: Path = Path("/"), vantage: Vantage | None = None) -> HostAudit:
    """What this host is set to, now.

    Args:
        root: where `proc` and `sys` are; another than `/` reads the recorded settings of another host.
        vantage: of the process that they are about; this one by default.
    """
    vantage = vantage or own_vantage()
    pages = root / "sys/kernel/mm/transparent_hugepage"
    return HostAudit(
        kernel=text(root / "proc/sys/kernel/osrelease"),
        as_root=vantage.as_root and _is_hosts_namespace(root),
        clock_source=text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        timer_slack_ns=number(root / "proc/self/timerslack_ns"),
        switch_interval_s=vantage.switch_interval_s,
        load_average=_load_average(root),
        memory_available_bytes=_available_bytes(root),
        governors=governors(root),
        turbo=turbo(root),
        smt=text(root / "sys/devices/system/cpu/smt/control"),
        siblings=siblings(root),
        mitigations=mitigations(root),
        transparent_huge_pages=selected(pages / "enabled"),
        transparent_huge_pages_defrag=selected(pages / "defrag"),
        limits={name: _limit(*bounds) for name, bounds in vantage.limits.items()},
        cgroup=own_cgroup_limits(root),
        sysctls={name: _sysctl(root, name) for name in SYSCTLS},
    )


def _is_hosts_namespace(root: Path) -> bool:
    """Whether users are the host's own here: in a user namespace, root is somebody else outside."""
    return (text(root / "proc/self/uid_map") or "").split() == ["0", "0", str(0xFFFFFFFF)]


def _load_average(root: Path) -> tuple[float, ...] | None:
    words = (text(root / "proc/loadavg") or "").split()
    return tuple(float(word) for word in words[:3]) or None


def _available_bytes(root: Path) -> int | None:
    match = re.search(r"^MemAvailable:\s+(\d+) kB", text(root / "proc/meminfo") or "", re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _limit(soft: int, hard: int) -> Limit:
    return Limit(soft="unlimited" if soft == UNLIMITED else soft, hard="unlimited" if hard == UNLIMITED else hard)


def _sysctl(root: Path, name: str) -> int | str | None:
    path = root / "proc/sys" / name.replace(".", "/")
    content = text(path)
    plain = number(path)
    return plain if plain is not None or content is None else " ".join(content.split())
