"""The first process of a container, seen directly where the engine's host is this one.

Asking the engine to send a signal starts a helper program of 10 ms of CPU, on any core, and it would do so at the
very edges of the measured window. A signal through a pidfd costs microseconds and cannot hit a reused id.
"""

import contextlib
import os
import select
from pathlib import Path
from signal import Signals, pidfd_send_signal

# A container's first process dies of these alone: the kernel spares a PID 1 every signal that it does not handle,
# but for SIGKILL and the faults. Any other status above 128 is one that the program chose.
FATAL_TO_PID_1 = frozenset({Signals.SIGKILL, Signals.SIGSEGV, Signals.SIGBUS, Signals.SIGFPE, Signals.SIGILL})


class FirstProcess:
    """A handle on a process that is known to be the one that was meant."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def find(cls, pid: int, container_id: str) -> "FirstProcess | None":
        """The process, if it is there, in this PID namespace, and in the container's own cgroup.

        None where the engine's ids mean something else here (a virtual machine, a container around the harness).
        """
        try:
            descriptor = os.pidfd_open(pid)
        except (OSError, OverflowError):
            return None
        with contextlib.suppress(OSError):
            if container_id in Path(f"/proc/{pid}/cgroup").read_text("utf-8"):
                return cls(descriptor)
        os.close(descriptor)
        return None

    def running(self) -> bool:
        """Whether it is there and no zombie."""
        if self._descriptor is None:
            return False
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return not poll.poll(0)

    def send(self, signal: Signals) -> bool:
        """Send a signal; whether that could be done from here."""
        if self._descriptor is None:
            return False
        try:
            pidfd_send_signal(self._descriptor, signal)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
