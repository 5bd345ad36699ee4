"""The servers that take a mark of their counters when the probe tells them to."""

import contextlib
import os
import signal

from probe.files import Gone, read

MARK = signal.SIGUSR1
_ASK = 0  # a signal that is checked and not sent
_STARTED = 19  # of /proc/PID/stat, counted behind the name in brackets: when the process began


class Marked:
    """One of them, by a handle that cannot come to mean another process.

    Where the kernel or a seccomp profile knows no such handles (Linux before 5.3, engines older than their libseccomp), by its
    number and the time at which it began. Between that look and the signal a number could be given to another process, if
    the kernel went through all others in these few microseconds.
    """

    def __init__(self, pid: int) -> None:
        """A process, which may have ended already.

        Raises:
            PermissionError: this user may not send it signals.
        """
        self._pid = pid
        self._began = _began(pid)
        self._handle = _handle(pid)
        self._send(_ASK)

    def mark(self) -> None:
        """Tell it; nothing where it has ended.

        Raises:
            PermissionError: this user may not.
        """
        self._send(MARK)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, number)
            elif self._began is not None and _began(self._pid) == self._began:
                os.kill(self._pid, number)


def _handle(pid: int) -> int | None:
    """A handle on a process; None where it has ended, or where there are none to be had, or none to send signals by."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        signal.pidfd_send_signal(handle, _ASK)
    except OSError:  # refused to everybody or to this one only: the way without a handle tells which
        os.close(handle)
        return None
    return handle


def _began(pid: int) -> bytes | None:
    """When a process began, in ticks; None where it has ended, or waits to be reaped."""
    try:
        state, *fields = read(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
    except Gone:
        return None
    return None if state in (b"Z", b"X") else fields[_STARTED - 1]
