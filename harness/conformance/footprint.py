"""What a server holds of its host: descriptors, processes, threads, memory, over its whole tree of processes."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Footprint:
    """One look at a tree of processes. None: this user may not read it."""

    descriptors: int | None
    processes: int
    threads: int  # beside each process's first
    memory_bytes: int | None  # proportional set size: pages that processes share count once

    @property
    def counts(self) -> tuple[int | None, int, int]:
        """What does not waver when the server rests."""
        return self.descriptors, self.processes, self.threads


def footprint(pid: int) -> Footprint | None:
    """Look at a process and all its descendants; none where it is not to be seen from here."""
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except (psutil.NoSuchProcess, ValueError):
        return None
    descriptors: int | None = 0
    memory: int | None = 0
    processes = threads = 0
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            processes += 1
            threads += max(0, process.num_threads() - 1)
            descriptors = _plus(descriptors, _descriptors(process))
            memory = _plus(memory, _pss_bytes(process.pid))
    return Footprint(descriptors, processes, threads, memory)


def _plus(total: int | None, more: int | None) -> int | None:
    return None if total is None or more is None else total + more


def _descriptors(process: psutil.Process) -> int | None:
    try:
        return process.num_fds()
    except psutil.AccessDenied:
        return None


def _pss_bytes(pid: int) -> int | None:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    except PermissionError:
        return None
    return 0
