"""The whole host at one instant, from /proc/stat."""

import time
from collections.abc import Collection, Mapping, Sequence

from probe.files import read
from probe.processes import TICKS_PER_S


def host_sample(proc: str, watched: Mapping[str, Collection[int]]) -> dict[str, int | float]:
    """CPU seconds since boot, busy and stolen by a hypervisor, of all CPUs and of the watched ones; tasks that run or want to."""
    at_ns = time.monotonic_ns()
    lines = read(f"{proc}/stat").splitlines()
    busy_s, steal_s = _seconds(lines[0])
    running = next(int(line.split()[1]) for line in lines if line.startswith(b"procs_running"))
    return {
        "at_ns": at_ns,
        "cpu_busy_s": busy_s,
        "steal_s": steal_s,
        "run_queue": running,
        **_of_sets(lines, watched),
    }


def _of_sets(lines: Sequence[bytes], watched: Mapping[str, Collection[int]]) -> dict[str, float]:
    named = {line.split(maxsplit=1)[0]: line for line in lines if line.startswith(b"cpu")}
    sums: dict[str, float] = {}
    for name, cpus in watched.items():
        seconds = [_seconds(named[b"cpu%d" % cpu]) for cpu in cpus if b"cpu%d" % cpu in named]
        sums |= {
            f"{name}_busy_s": sum(busy for busy, _ in seconds),
            f"{name}_steal_s": sum(steal for _, steal in seconds),
        }
    return sums


def _seconds(line: bytes) -> tuple[float, float]:
    """Busy and stolen time of one line of CPU counters."""
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_guest = map(int, line.split()[1:])
    return (user + nice + system + irq + softirq) / TICKS_PER_S, steal / TICKS_PER_S
