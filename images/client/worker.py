"""One process of a crew: as the first process sees it, and how a fork of that becomes one."""

import ctypes
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from client.config import Config
from client.errors import CannotRunError
from client.pace.schedule import Share

Work = Callable[[Config, Path, Share], int]
"""A worker's whole life, from its configuration and folder to its exit status."""

_PR_SET_PDEATHSIG = 1


@dataclass
class Worker:
    """One process of the crew, as the first one sees it."""

    name: str  # "client process 2 of 3"
    pid: int
    pipe: int  # what it says
    folder: Path
    unread: bytes = b""
    told: dict[str, dict[str, Any]] = field(default_factory=dict)  # its events by name
    ticks: deque[dict[str, Any]] = field(default_factory=deque)
    last_tick: dict[str, Any] = field(default_factory=lambda: {"at_ns": 0, "ok": 0, "errors": 0, "connections": 0})
    reaped: bool = False

    def hear(self, event: dict[str, Any]) -> None:
        """Take in one event.

        Raises:
            CannotRunError: it is an error.
        """
        if event["event"] == "error":
            raise CannotRunError(f"{self.name}: {event['message']}")
        if event["event"] == "tick":
            self.ticks.append(event)
        else:
            self.told[event["event"]] = event

    def reap(self) -> None:
        """Take note of a worker's end.

        Raises:
            CannotRunError: it came before its work was done.
        """
        _, status = os.waitpid(self.pid, 0)
        self.reaped = True
        code = os.waitstatus_to_exitcode(status)
        if code == 0 and "done" in self.told:
            return
        how = (
            f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}, and said nothing"
        )
        raise CannotRunError(f"{self.name} (pid {self.pid}) {how}; the others were ended, nothing is reported")


def become(parent_pid: int, pipe: int, cpus: Iterable[int]) -> None:
    """What makes a fork of the first process a worker: its output, its CPUs, and that it dies with the first."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before we could ask
        os._exit(1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all; the first process ends the others
    os.dup2(pipe, 1)
    os.close(pipe)
    os.sched_setaffinity(0, cpus)


def carry_out(work: Work, config: Config, folder: Path, share: Share) -> NoReturn:
    """Never return into the first process's code, whatever happens."""
    status = 1
    try:
        status = work(config, folder, share)
    finally:
        os._exit(status)
