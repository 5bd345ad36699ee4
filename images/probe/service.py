"""One watched service, and the samples taken of it."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from probe.cgroups import CgroupV1, CgroupV2
from probe.files import Gone
from probe.processes import ENDED, Stat, Table, cpu_s, descriptors, pss_bytes, read_stat, switches


class Look(NamedTuple):
    """What every sample has."""

    at_ns: int
    cpu_s: tuple[float, float]
    memory_bytes: int | None
    throttled_s: float | None
    pids: Sequence[int]
    threads: int


class Scope(Protocol):
    """What belongs to a service."""

    def look(self, main: Stat, table: Table) -> Look:
        """How much it has used, and who it is, now."""


class TreeScope:
    """The main process and all its descendants."""

    def look(self, main: Stat, table: Table) -> Look:
        """Its time is that of the CPU clocks, which are read after the tree is known."""
        family = table.tree(main)
        at_ns = time.monotonic_ns()
        used_s = cpu_s(family)
        alive = [member for member in family if member.state not in ENDED]
        return Look(at_ns, used_s, None, None, [member.pid for member in alive], sum(m.threads for m in alive))


class CgroupScope:
    """Everything in the main process's cgroup."""

    def __init__(self, cgroup: CgroupV1 | CgroupV2) -> None:
        self._cgroup = cgroup

    def look(self, main: Stat, table: Table) -> Look:  # noqa: ARG002 - a cgroup knows its own
        """Its time is that of the CPU counters."""
        cgroup = self._cgroup
        at_ns = time.monotonic_ns()
        used_s = cgroup.cpu_s()
        return Look(at_ns, used_s, cgroup.memory_bytes(), cgroup.throttled_s(), cgroup.pids(), cgroup.threads())


class Service:
    """Samples of one service, until its main process ends."""

    def __init__(self, pid: int, scope: Scope, proc: str) -> None:
        self._proc = proc
        self._scope = scope
        self._main = read_stat(proc, pid)
        self.samples: list[dict[str, Any]] = []
        self.edges: list[dict[str, Any]] = []

    def sample(self, table: Table) -> None:
        """What can be had cheaply: CPU, memory, processes, threads.

        Raises:
            Gone: the service has ended.
        """
        self.samples.append(_record(self._look(table)))

    def edge(self, table: Table, *, pss: bool) -> None:
        """A whole sample: context switches and descriptors as well, and PSS where asked for.

        Reading each task's status takes 20 to 40 us of CPU, so the switches of hundreds of workers are read at edges only.

        Raises:
            Gone: the service has ended.
        """
        look = self._look(table)
        main = self._main.pid
        counted = switches(self._proc, look.pids, main)
        self.edges.append(
            {
                **_record(look),
                "voluntary_switches": counted.voluntary,
                "involuntary_switches": counted.involuntary,
                "child_voluntary_switches": counted.child_voluntary,
                "child_involuntary_switches": counted.child_involuntary,
                "descriptors": descriptors(self._proc, main),
                "pss_bytes": pss_bytes(self._proc, look.pids) if pss else None,
            }
        )

    def _look(self, table: Table) -> Look:
        main = read_stat(self._proc, self._main.pid)
        if main.started != self._main.started or main.state in ENDED:
            raise Gone(str(main.pid))
        return self._scope.look(main, table)


def _record(look: Look) -> dict[str, Any]:
    """As `Sample` of the contract; what is not read is None."""
    user_s, system_s = look.cpu_s
    return {
        "at_ns": look.at_ns,
        "cpu_user_s": user_s,
        "cpu_system_s": system_s,
        "memory_bytes": look.memory_bytes,
        "pss_bytes": None,
        "processes": len(look.pids),
        "threads": look.threads,
        "voluntary_switches": None,
        "involuntary_switches": None,
        "child_voluntary_switches": None,
        "child_involuntary_switches": None,
        "throttled_s": look.throttled_s,
        "descriptors": None,
    }
