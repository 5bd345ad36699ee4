"""The whole host at one instant, from /proc/stat."""

import time

from probe.files import read
from probe.processes import TICKS_PER_S


def host_sample(proc: str) -> dict[str, int | float]:
    """CPU seconds of all CPUs since boot: busy, and stolen by a hypervisor; and tasks that run or want to."""
    at_ns = time.monotonic_ns()
    lines = read(f"{proc}/stat").splitlines()
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_guest = map(int, lines[0].split()[1:])
    running = next(int(line.split()[1]) for line in lines if line.startswith(b"procs_running"))
    return {
        "at_ns": at_ns,
        "cpu_busy_s": (user + nice + system + irq + softirq) / TICKS_PER_S,
        "steal_s": steal / TICKS_PER_S,
        "run_queue": running,
    }
