"""Absolute alarms on the event loop, by timerfd: the loop's own timers are millisecond-grained and fire early."""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

_TFD_TIMER_ABSTIME = 1
_DISARMED = 0  # as a time


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


def _with_ctypes() -> tuple[int, Callable[[int], None]]:
    """A timerfd and the function that arms it, where `os` has none (before Python 3.13)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    spec = _Itimerspec()
    value, reference, settime = spec.value, ctypes.byref(spec), libc.timerfd_settime

    def arm(at_ns: int) -> None:
        value.seconds, value.nanoseconds = divmod(at_ns, 1_000_000_000)
        if settime(descriptor, _TFD_TIMER_ABSTIME, reference, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    return descriptor, arm


def _with_os() -> tuple[int, Callable[[int], None]]:
    """The same by the standard library's own timerfd."""
    create, settime = getattr(os, "timerfd_create"), getattr(os, "timerfd_settime_ns")  # noqa: B009 — 3.13
    descriptor: int = create(time.CLOCK_MONOTONIC, flags=os.O_NONBLOCK | os.O_CLOEXEC)

    def arm(at_ns: int) -> None:
        settime(descriptor, flags=_TFD_TIMER_ABSTIME, initial=at_ns)

    return descriptor, arm


class Alarm:
    """One timerfd on the loop. Arming it again replaces the earlier time and clears what has expired."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, use_ctypes: bool = not hasattr(os, "timerfd_create")
    ) -> None:
        self._loop = loop
        self._descriptor, self._arm = _with_ctypes() if use_ctypes else _with_os()
        self._armed = False
        self._time_ns = 0
        self._callback: Callable[[], None] = lambda: None
        loop.add_reader(self._descriptor, self._fire)

    def at(self, time_ns: int, callback: Callable[[], None]) -> None:
        """Call back at this time of CLOCK_MONOTONIC, or at once when it has passed; never before it."""
        self._callback, self._armed, self._time_ns = callback, True, time_ns
        self._arm(max(time_ns, _DISARMED + 1))

    async def until(self, time_ns: int) -> None:
        """Sleep until this time of CLOCK_MONOTONIC."""
        reached = asyncio.Event()
        self.at(time_ns, reached.set)
        await reached.wait()

    def close(self) -> None:
        """Take it off the loop."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _fire(self) -> None:
        if time.monotonic_ns() < self._time_ns:  # armed again since the loop asked what is ready
            return
        self._armed = False
        self._callback()
        if not self._armed:  # arming clears the expiry by itself; without it the descriptor would stay readable
            self._arm(_DISARMED)
