"""Walls that a plan would hit on this host, found before the first trial instead of in its numbers."""

import resource
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.spec.experiment import Trial

OWN_TASKS = 256  # processes and threads of harness, client and probe, and what else runs here


@dataclass(frozen=True)
class Need:
    """The most that any trial of a plan asks of the host."""

    open_files: int  # descriptors of one process
    connections: int  # held at once; with each a process or a thread, in the models that make one
    backlog: int  # asked for in listen(2)


@dataclass(frozen=True)
class Wall:
    """A limit of the host that the plan meets."""

    name: str
    have: int
    need: int
    remedy: str  # the command that moves it
    fatal: bool  # a trial could not run; otherwise its numbers may be the wall's

    def __str__(self) -> str:
        return f"{self.name} is {self.have}, the plan needs {self.need}; {self.remedy}"


def need_of(trials: Iterable[Trial], *, open_files: int, backlog: int) -> Need:
    """The most that any of these trials asks of the host."""
    most = max((trial.load.connections for trial in trials), default=0)
    return Need(open_files=open_files, connections=most, backlog=backlog)


def audit(need: Need, root: Path = Path("/")) -> list[Wall]:
    """Every wall of this host that lies below what is needed, the fatal ones first.

    Args:
        need: of the plan.
        root: where `proc/sys` is; another than `/` reads the recorded settings of another host.
    """
    walls = [*_descriptors(need, root), *_tasks(need, root), *_network(need, root)]
    return sorted(walls, key=lambda wall: not wall.fatal)


def _descriptors(need: Need, root: Path) -> Iterator[Wall]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and need.open_files > hard:
        remedy = f"run as root `ulimit -Hn {need.open_files}`, set nofile in /etc/security/limits.conf, or ask for fewer connections"
        yield Wall("open files (RLIMIT_NOFILE, hard)", hard, need.open_files, remedy, fatal=True)
    yield from _sysctl(root, "fs.file-max", 2 * need.connections, fatal=True)


def _tasks(need: Need, root: Path) -> Iterator[Wall]:
    tasks = need.connections + OWN_TASKS
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    if hard != resource.RLIM_INFINITY and tasks > hard:
        remedy = f"run as root `ulimit -Hu {tasks}`, or ask for fewer connections"
        yield Wall("processes of a user (RLIMIT_NPROC, hard)", hard, tasks, remedy, fatal=True)
    for name in ("kernel.pid_max", "kernel.threads-max"):
        yield from _sysctl(root, name, tasks, fatal=True)
    # A thread's stack is two mappings of its process: the stack, and its guard page.
    yield from _sysctl(root, "vm.max_map_count", 2 * tasks, fatal=True)


def _network(need: Need, root: Path) -> Iterator[Wall]:
    yield from _sysctl(root, "net.core.somaxconn", need.backlog, fatal=False)
    yield from _sysctl(root, "net.ipv4.tcp_max_syn_backlog", min(need.backlog, need.connections), fatal=False)
    if (ports := _ports(root)) is None:
        return
    remedy = "run as root `sysctl -w net.ipv4.ip_local_port_range='1024 65535'`, or ask for fewer connections"
    if need.connections > ports:
        yield Wall("net.ipv4.ip_local_port_range, ports", ports, need.connections, remedy, fatal=True)


def _sysctl(root: Path, name: str, need: int, *, fatal: bool) -> Iterator[Wall]:
    numbers = _numbers(root, name)
    if numbers and numbers[0] < need:
        yield Wall(name, numbers[0], need, f"run as root `sysctl -w {name}={need}`", fatal)


def _ports(root: Path) -> int | None:
    bounds = _numbers(root, "net.ipv4.ip_local_port_range")
    return bounds[1] - bounds[0] + 1 if len(bounds) == 2 else None


def _numbers(root: Path, name: str) -> list[int]:
    """The numbers of a sysctl; none where the kernel has no such setting."""
    try:
        return [int(word) for word in (root / "proc/sys" / name.replace(".", "/")).read_text().split()]
    except (OSError, ValueError):
        return []
