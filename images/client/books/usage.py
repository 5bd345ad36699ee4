"""What the process itself uses: an entry of `processes` in the report."""

import os
import resource
from dataclasses import dataclass
from pathlib import Path

_FEWEST_CONNECTIONS = 64  # with fewer, a page more or less of something else decides
_SCHEDSTAT = Path("/proc/self/schedstat")
_ROLLUP = Path("/proc/self/smaps_rollup")
_STATM = Path("/proc/self/statm")


@dataclass(frozen=True)
class Use:
    """Its use of the CPU so far.

    Attributes:
        user_s: in its own code.
        system_s: in the kernel.
        delay_s: ready to run, and not running; None where the kernel does not say.
    """

    user_s: float
    system_s: float
    delay_s: float | None

    @classmethod
    def now(cls) -> "Use":
        """Look, in about 20 µs."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        try:
            delay_s = int(_SCHEDSTAT.read_text().split()[1]) / 1e9
        except (OSError, IndexError):  # a kernel without CONFIG_SCHED_INFO
            delay_s = None
        return cls(used.ru_utime, used.ru_stime, delay_s)

    def since(self, before: "Use") -> "Use":
        """What was used between two looks."""
        known = self.delay_s is not None and before.delay_s is not None
        delay_s = (self.delay_s or 0) - (before.delay_s or 0) if known else None
        return Use(self.user_s - before.user_s, self.system_s - before.system_s, delay_s)


def memory_bytes() -> int:
    """Its own memory, without pages of files: proportional (shared pages are divided), or resident where that is not told."""
    try:
        lines = _ROLLUP.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:"))
    except (OSError, StopIteration):
        resident, shared = (int(pages) for pages in _STATM.read_text().split()[1:3])
        return (resident - shared) * os.sysconf("SC_PAGESIZE")


def entry(use: Use, connections: int, growth_bytes: int | None) -> dict[str, object]:
    """The process as the report has it.

    Args:
        use: of the CPU in the window.
        connections: its share of them.
        growth_bytes: of its memory, while all of them were opened; None where they were not.
    """
    told = growth_bytes is not None and connections >= _FEWEST_CONNECTIONS
    return {
        "cpus": sorted(os.sched_getaffinity(0)),
        "connections": connections,
        "cpu_user_s": use.user_s,
        "cpu_system_s": use.system_s,
        "run_delay_s": use.delay_s,
        "bytes_per_connection": (growth_bytes or 0) / connections if told else None,
    }
