"""A timer as a descriptor for the loop: timerfd, exact to some microseconds, where epoll's own timeout counts in milliseconds.

Through ctypes, because `os` has it from Python 3.13 on only.
"""

import contextlib
import ctypes
import os
import time
from typing import Final

_ABSOLUTE: Final = 1  # TFD_TIMER_ABSTIME


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Timer:
    """Makes its descriptor readable at one instant of CLOCK_MONOTONIC. Setting another one replaces it.

    Raises:
        OSError: the kernel gives no timer.
    """

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._settime = libc.timerfd_settime
        self._spec = _Itimerspec()
        self._fd: int = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        self._set_ns = 0
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def fileno(self) -> int:
        """Its descriptor."""
        return self._fd

    def set(self, at_ns: int) -> None:
        """Wake at this time, or at once if it has passed; never before it."""
        if at_ns == self._set_ns:
            return
        self._set_ns = at_ns
        value = self._spec.value
        value.seconds, value.nanoseconds = divmod(max(at_ns, 1), 1_000_000_000)  # 0 would disarm it
        if self._settime(self._fd, _ABSOLUTE, ctypes.byref(self._spec), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def noticed(self) -> None:
        """It has gone off: make it quiet again."""
        self._set_ns = 0
        with contextlib.suppress(BlockingIOError):  # set anew in the meantime
            os.read(self._fd, 8)
