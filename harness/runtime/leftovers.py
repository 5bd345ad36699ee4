"""Finding and killing every process of a service, whatever became of its parents.

Each service has a mark in its environment, which all its descendants inherit. Unlike a process id it is never used
again, and unlike a session or a process group nothing that a server does to its children takes it away.
"""

import contextlib
import time
from pathlib import Path
from signal import Signals

import psutil

from harness.errors import HostError

MARK = "CEILING_SERVICE"  # environment variable: the service's folder name
KILL_DEADLINE_S = 5.0


def marked_processes(mark: str) -> list[psutil.Process]:
    """Every live process of a service that this user may look at."""
    needle = f"{MARK}={mark}\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and needle in _environment(entry):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(int(entry.name))  # remembers the start time: a reused id is another process
                if needle in _environment(entry):
                    found.append(process)
    return found


def kill_marked(mark: str) -> int:
    """Kill every process of a service, and return how many there were.

    Raises:
        HostError: some did not die within 5 s.
    """
    killed: set[psutil.Process] = set()
    deadline = time.monotonic() + KILL_DEADLINE_S
    while processes := marked_processes(mark):  # again, for those that were forked meanwhile
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        killed.update(processes)
        _await_end(processes, deadline)
    return len(killed)


def signal_marked(mark: str, number: Signals) -> int:
    """Send a signal to every process of a service, those that are forked meanwhile among them; return how many there were."""
    told: set[psutil.Process] = set()
    while fresh := set(marked_processes(mark)) - told:
        for process in fresh:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        told |= fresh
    return len(told)


def _environment(entry: Path) -> bytes:
    """Empty for what is gone, a zombie, a kernel thread, or another user's."""
    try:
        return (entry / "environ").read_bytes()
    except OSError:
        return b""


def _await_end(processes: list[psutil.Process], deadline: float) -> None:
    """Wait until they hold no port and no file: a process loses its environment a little before those."""
    while alive := [process.pid for process in processes if _alive(process)]:
        if time.monotonic() > deadline:
            raise HostError(f"processes {alive} do not die; see what holds them in the kernel: `ps -o stat,wchan`")
        time.sleep(0.002)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
