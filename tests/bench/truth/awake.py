"""Cores that do not fall asleep: on each a process that runs only where nothing else wants to (SCHED_IDLE).

An idle core takes its time to wake up, and a virtual one more, as the hypervisor has taken it away: 40 to 60 µs at each end
of every request on the development machine. That is the machine's doing, not a client's. What latency is measured on is
kept awake for that reason (idle=poll, or no C-states); this does it for as long as a gate takes, and needs no right.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_SPIN = """
import os
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while os.getppid() == {parent}: pass
"""


@contextmanager
def kept_awake(cores: Sequence[int]) -> Iterator[None]:
    """Keep these cores from idling; what runs on them is in nobody's way."""
    command = [sys.executable, "-c", _SPIN.format(parent=os.getpid())]
    spinning = [subprocess.Popen(["taskset", "-c", str(core), *command]) for core in sorted(set(cores))]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()
