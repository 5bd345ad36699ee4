"""Processes and their tasks, as /proc shows them."""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from probe.files import Gone, names, read, read_or

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ENDED = "ZX"  # zombie, dead
# Of a process, as clock_getcpuclockid(3) numbers them: CPUCLOCK_SCHED, CPUCLOCK_VIRT, CPUCLOCK_PROF of the kernel.
CLOCKS = (2, 1, 0)


class Stat(NamedTuple):
    """Of one line of /proc/PID/stat."""

    pid: int
    state: str
    parent: int
    minor_faults: int  # its own, and those of children that have ended and were waited for
    major_faults: int
    user_ticks: int
    system_ticks: int
    reaped_user_ticks: int  # of children that have ended and were waited for
    reaped_system_ticks: int
    threads: int
    started: int  # clock ticks since boot


class Faults(NamedTuple):
    """Page faults of live processes and of the children that they have reaped."""

    minor: int  # the page was in memory: copied on write, zeroed, or mapped
    major: int  # it had to be read


class Scheduling(NamedTuple):
    """Of live tasks: context switches, all of a service and of these the ones outside its main process; and waiting."""

    voluntary: int
    involuntary: int
    child_voluntary: int
    child_involuntary: int
    run_delay_s: float | None  # ready to run, and not run; None where the kernel does not keep it


class Fullest(NamedTuple):
    """The process of a service that is closest to its limit of open files."""

    descriptors: int  # open
    limit: int  # the soft one


def read_stat(proc: str, pid: int) -> Stat:
    """One process.

    Raises:
        Gone: there is none of that id.
    """
    fields = read(f"{proc}/{pid}/stat").rpartition(b")")[2].split()
    parent, minor, reaped_minor, major, reaped_major, user, system, reaped_user, reaped_system, threads, started = (
        int(fields[at]) for at in (1, 7, 8, 9, 10, 11, 12, 13, 14, 17, 19)
    )
    faults = minor + reaped_minor, major + reaped_major
    return Stat(pid, fields[0].decode(), parent, *faults, user, system, reaped_user, reaped_system, threads, started)


class Table:
    """All processes at about one instant; read at most once, for all services together."""

    def __init__(self, proc: str) -> None:
        self._proc = proc
        self._children: dict[int, list[Stat]] | None = None

    def tree(self, main: Stat) -> list[Stat]:
        """A process and all its descendants, each after its parent."""
        if self._children is None:
            self._children = self._scan()
        family = [main]
        for member in family:  # grows while it is walked
            family += self._children.get(member.pid, ())
        return family

    def _scan(self) -> dict[int, list[Stat]]:
        children: dict[int, list[Stat]] = {}
        for name in names(self._proc):
            if name.isdigit():
                try:
                    stat = read_stat(self._proc, int(name))
                except (Gone, PermissionError):
                    continue
                children.setdefault(stat.parent, []).append(stat)
        return children


def cpu_s(family: Iterable[Stat]) -> tuple[float, float]:
    """CPU time of processes and of the children they have reaped, (user, system), seconds.

    /proc/PID/stat counts whole ticks of 10 ms, which would lose up to two of them for each of hundreds of workers. The
    CPU clocks of a process lose nothing, threads that have ended included. The sum is exact; it divides as the kernel's
    own tick found the processes running, taken over all of them together.
    """
    used_ns = user_ns = sampled_ns = reaped_user = reaped_system = 0
    for member in family:
        used, user, sampled = _clocks_ns(member)
        used_ns, user_ns, sampled_ns = used_ns + used, user_ns + user, sampled_ns + sampled
        reaped_user += member.reaped_user_ticks
        reaped_system += member.reaped_system_ticks
    user_s = used_ns / 1e9 * (user_ns / sampled_ns if sampled_ns else 1.0)
    return user_s + reaped_user / TICKS_PER_S, used_ns / 1e9 - user_s + reaped_system / TICKS_PER_S


def _clocks_ns(member: Stat) -> tuple[int, int, int]:
    """A live process's CPU time: all of it, exactly; and by the kernel's tick, user, and user and system together."""
    try:
        used, user, sampled = (time.clock_gettime_ns((~member.pid << 3) | which) for which in CLOCKS)
    except OSError:  # it has been reaped since, and its parent's line was read before that
        user, system = (ticks * 1_000_000_000 // TICKS_PER_S for ticks in (member.user_ticks, member.system_ticks))
        return user + system, user, user + system
    return used, user, sampled


def faults(proc: str, pids: Iterable[int]) -> Faults:
    """Page faults, summed over processes, threads that have ended included.

    A process's own and its reaped children's are both in its line. So nothing is lost with who ends, as long as his
    parent lives and waits for him.
    """
    minor = major = 0
    for pid in pids:
        with contextlib.suppress(Gone):
            stat = read_stat(proc, pid)
            minor, major = minor + stat.minor_faults, major + stat.major_faults
    return Faults(minor, major)


def scheduling(proc: str, pids: Iterable[int], main: int) -> Scheduling:
    """Summed over live tasks: /proc/PID/status and /proc/PID/schedstat alone tell of a process's first thread only."""
    voluntary = involuntary = child_voluntary = child_involuntary = delay_ns = 0
    delays = _keeps_delays(proc)
    for pid in pids:
        for status, waited_ns in _tasks(f"{proc}/{pid}/task", delays):
            willing, forced = _count(status, b"\nvoluntary_"), _count(status, b"\nnonvoluntary_")
            voluntary, involuntary, delay_ns = voluntary + willing, involuntary + forced, delay_ns + waited_ns
            if pid != main:
                child_voluntary, child_involuntary = child_voluntary + willing, child_involuntary + forced
    delay_s = delay_ns / 1e9 if delays else None
    return Scheduling(voluntary, involuntary, child_voluntary, child_involuntary, delay_s)


def _keeps_delays(proc: str) -> bool:
    """Whether the kernel says how long tasks waited: else there is no such file, or only zeros, even of a task that runs."""
    return any(int(number) for number in read_or(f"{proc}/self/schedstat", b"").split())


def _tasks(folder: str, delays: bool) -> Iterator[tuple[bytes, int]]:
    """Status and waiting time (ns) of each live task; those that end meanwhile are left out."""
    with contextlib.suppress(Gone):
        for tid in names(folder):
            with contextlib.suppress(Gone):
                waited_ns = int(read(f"{folder}/{tid}/schedstat").split()[1]) if delays else 0
                yield read(f"{folder}/{tid}/status"), waited_ns


def _count(status: bytes, start: bytes) -> int:
    name = start + b"ctxt_switches:"
    at = status.find(name)
    return int(status[at + len(name) :].split(b"\n", 1)[0]) if at >= 0 else 0


def descriptors(proc: str, pid: int) -> int | None:
    """Open descriptors of a process; None where this user may not look.

    From Linux 6.2 on the folder's size is their number. Before, they have to be listed: 0.7 us each.
    """
    folder = f"{proc}/{pid}/fd"
    try:
        return _size(folder) or len(names(folder))
    except (Gone, OSError):
        return None


def _size(folder: str) -> int:
    return os.stat(folder).st_size  # noqa: PTH116 - a Path for each of hundreds is dear


def fullest(proc: str, pids: Iterable[int]) -> Fullest | None:
    """The process that is closest to its limit of open files; None where none of them has one that can be seen."""
    found = None
    for pid in pids:
        limit = _descriptor_limit(proc, pid)
        used = descriptors(proc, pid) if limit else None
        if limit and used is not None and (found is None or used * found.limit > found.descriptors * limit):
            found = Fullest(used, limit)
    return found


def _descriptor_limit(proc: str, pid: int) -> int | None:
    """The soft limit; None where there is none, or it is not told."""
    for line in read_or(f"{proc}/{pid}/limits", b"").splitlines():
        if line.startswith(b"Max open files "):
            soft = line.split()[3]
            return int(soft) if soft.isdigit() else None
    return None
