"""What a cgroup has used, in version 1 and version 2."""

from collections.abc import Sequence

from probe.files import Gone, keyed, read, read_or
from probe.limits import V1, V2, MemoryLimit, MemoryWall
from probe.locate import locate
from probe.processes import TICKS_PER_S


class CgroupV2:
    """One folder tells all; CPU in microseconds, already divided exactly."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._limit = MemoryLimit(folder, V2)

    def cpu_s(self) -> tuple[float, float]:
        """CPU time (user, system), seconds.

        Raises:
            Gone: the cgroup has been removed.
        """
        stat = keyed(read(f"{self._folder}/cpu.stat"))
        return stat["user_usec"] / 1e6, stat["system_usec"] / 1e6

    def throttled_s(self) -> float | None:
        """Time that a CPU quota held it back; None where the cpu controller is off."""
        throttled = keyed(read_or(f"{self._folder}/cpu.stat", b"")).get("throttled_usec")
        return None if throttled is None else throttled / 1e6

    def memory_bytes(self) -> int | None:
        """Memory less the file cache that is reclaimed first; None where the memory controller is off."""
        return _less(f"{self._folder}/memory.current", f"{self._folder}/memory.stat", "inactive_file")

    def memory_wall(self) -> MemoryWall:
        """Its memory limit, and what came of it."""
        return self._limit.look()

    def pids(self) -> list[int]:
        """Its processes."""
        return numbers(f"{self._folder}/cgroup.procs")

    def threads(self) -> int:
        """How many threads they have."""
        return len(numbers(f"{self._folder}/cgroup.threads"))


class CgroupV1:
    """A folder in each controller's own hierarchy."""

    def __init__(self, cpuacct: str, cpu: str | None, memory: str | None) -> None:
        self._cpuacct = cpuacct
        self._cpu = cpu
        self._memory = memory
        self._limit = None if memory is None else MemoryLimit(memory, V1)
        self._seen = (0.0, 0.0)

    def cpu_s(self) -> tuple[float, float]:
        """CPU time (user, system), seconds.

        The sum is exact. Its division is sampled by the kernel's clock tick and scaled to the sum, in such a way that
        neither part ever falls, as the kernel does for processes.

        Raises:
            Gone: the cgroup has been removed.
        """
        total_s = int(read(f"{self._cpuacct}/cpuacct.usage")) / 1e9
        user, system = self._division()
        seen_user, seen_system = self._seen
        system_s = total_s * system / (user + system) if user + system else 0.0
        system_s = max(seen_system, min(system_s, total_s - seen_user))
        self._seen = (max(seen_user, total_s - system_s), system_s)
        return self._seen

    def _division(self) -> tuple[float, float]:
        user = read_or(f"{self._cpuacct}/cpuacct.usage_user", b"")
        system = read_or(f"{self._cpuacct}/cpuacct.usage_sys", b"")
        if user and system:
            return int(user) / 1e9, int(system) / 1e9
        ticks = keyed(read(f"{self._cpuacct}/cpuacct.stat"))  # kernels before 4.7
        return ticks["user"] / TICKS_PER_S, ticks["system"] / TICKS_PER_S

    def throttled_s(self) -> float | None:
        """Time that a CPU quota held it back; None where the cpu controller is off."""
        throttled = keyed(read_or(f"{self._cpu}/cpu.stat", b"")).get("throttled_time") if self._cpu else None
        return None if throttled is None else throttled / 1e9

    def memory_bytes(self) -> int | None:
        """Memory less the file cache that is reclaimed first; None where the memory controller is off."""
        if self._memory is None:
            return None
        usage, stat = f"{self._memory}/memory.usage_in_bytes", f"{self._memory}/memory.stat"
        return _less(usage, stat, "total_inactive_file")

    def memory_wall(self) -> MemoryWall:
        """Its memory limit, and what came of it."""
        return MemoryWall() if self._limit is None else self._limit.look()

    def pids(self) -> list[int]:
        """Its processes."""
        return numbers(f"{self._cpuacct}/cgroup.procs")

    def threads(self) -> int:
        """How many threads they have."""
        return len(numbers(f"{self._cpuacct}/tasks"))


def cgroup_of(pid: int, root: str = "") -> CgroupV1 | CgroupV2:
    """The cgroup of a process, whichever version accounts for CPU here.

    Raises:
        Gone: there is no such process.
        LookupError: its cgroup is not to be seen from here.
    """
    lines = read(f"{root}/proc/{pid}/cgroup").decode().splitlines()
    controllers: Sequence[str] = [name for line in lines for name in line.split(":", 2)[1].split(",")]
    if "cpuacct" not in controllers:
        return CgroupV2(locate(pid, "", root))
    cpu, memory = (_optional(pid, name, root) for name in ("cpu", "memory"))
    return CgroupV1(locate(pid, "cpuacct", root), cpu, memory)


def _optional(pid: int, controller: str, root: str) -> str | None:
    try:
        return locate(pid, controller, root)
    except LookupError:
        return None


def numbers(path: str) -> list[int]:
    """One number a line.

    Raises:
        Gone: the cgroup has been removed.
    """
    return [int(word) for word in read(path).split()]


def _less(usage: str, stat: str, cache: str) -> int | None:
    try:
        return max(0, int(read(usage)) - keyed(read(stat)).get(cache, 0))
    except Gone:
        return None
