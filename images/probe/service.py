"""One watched service, and the samples taken of it."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from probe.cgroups import CgroupV1, CgroupV2
from probe.files import Gone
from probe.limits import MemoryWall
from probe.memory import KERNEL_STACK_BYTES, pages
from probe.network import Look as NetworkLook
from probe.network import Network
from probe.processes import ENDED, Stat, Table, cpu_s, descriptors, faults, fullest, read_stat, scheduling
from probe.sockets import held, structure_bytes


class Look(NamedTuple):
    """What every sample has."""

    at_ns: int
    cpu_s: tuple[float, float]
    memory_bytes: int | None
    throttled_s: float | None
    pids: Sequence[int]
    threads: int
    wall: MemoryWall = MemoryWall()


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
        throttled_s, wall = cgroup.throttled_s(), cgroup.memory_wall()
        return Look(at_ns, used_s, cgroup.memory_bytes(), throttled_s, cgroup.pids(), cgroup.threads(), wall)


class Service:
    """Samples of one service, until its main process ends."""

    def __init__(self, pid: int, scope: Scope, port: int | None, proc: str) -> None:
        self._proc = proc
        self._scope = scope
        self._port = port
        self._main = read_stat(proc, pid)
        self._network = None if port is None else Network(proc, pid, port)
        self.samples: list[dict[str, Any]] = []
        self.edges: list[dict[str, Any]] = []
        self.memory: list[dict[str, Any]] = []
        self.network: list[NetworkLook] = []

    def sample(self, table: Table) -> None:
        """What can be had cheaply: CPU, memory, processes, threads.

        Raises:
            Gone: the service has ended.
        """
        self.samples.append(_record(self._look(table)))

    def edge(self, table: Table) -> None:
        """A whole sample: context switches, waiting, page faults and descriptors as well.

        Reading what the kernel says of a task takes 30 to 60 us of CPU, so hundreds of workers are read at edges only.

        Raises:
            Gone: the service has ended.
        """
        look = self._look(table)
        main = self._main.pid
        counted, faulted = scheduling(self._proc, look.pids, main), faults(self._proc, look.pids)
        full = fullest(self._proc, look.pids)
        self.edges.append(
            {
                **_record(look),
                "voluntary_switches": counted.voluntary,
                "involuntary_switches": counted.involuntary,
                "child_voluntary_switches": counted.child_voluntary,
                "child_involuntary_switches": counted.child_involuntary,
                "minor_faults": faulted.minor,
                "major_faults": faulted.major,
                "descriptors": descriptors(self._proc, main),
                "fullest_descriptors": full and full.descriptors,
                "descriptor_limit": full and full.limit,
                "run_delay_s": counted.run_delay_s,
            }
        )

    def look_at_network(self, seen: dict[object, NetworkLook]) -> None:
        """Its network namespace and the queue of its port; nothing where it listens on none that is known.

        Args:
            seen: namespaces that have been looked at already, in this round.
        """
        if self._network is not None and (look := self._network.look(seen)) is not None:
            self.network.append(look)

    def weigh(self, table: Table) -> None:
        """A look at memory, of processes and of the kernel: dear, so never in a timed window.

        Raises:
            Gone: the service has ended.
        """
        look = self._look(table)
        own = pages(self._proc, look.pids)
        sockets = None if self._port is None else held(self._proc, self._main.pid, self._port)
        structure = structure_bytes(f"{self._proc}/slabinfo")
        self.memory.append(
            {
                "at_ns": look.at_ns,
                "processes": len(look.pids),
                "threads": look.threads,
                "pss_bytes": own and own.pss_bytes,
                "pss_file_bytes": own and own.pss_file_bytes,
                "page_table_bytes": own and own.table_bytes,
                "kernel_stack_bytes": look.threads * KERNEL_STACK_BYTES,
                "connections": sockets and sockets.connections,
                "socket_queued_bytes": sockets and sockets.queued_bytes,
                "socket_reserved_bytes": sockets and sockets.reserved_bytes,
                "socket_structure_bytes": None
                if structure is None or sockets is None
                else structure * sockets.connections,
                "cgroup_bytes": look.memory_bytes,
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
        "processes": len(look.pids),
        "threads": look.threads,
        "voluntary_switches": None,
        "involuntary_switches": None,
        "child_voluntary_switches": None,
        "child_involuntary_switches": None,
        "minor_faults": None,
        "major_faults": None,
        "throttled_s": look.throttled_s,
        "descriptors": None,
        "fullest_descriptors": None,
        "descriptor_limit": None,
        "run_delay_s": None,
        "memory_limit_bytes": look.wall.limit_bytes,
        "memory_limit_hits": look.wall.hits,
        "oom_kills": look.wall.kills,
    }
