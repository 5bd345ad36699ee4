"""A frozen server: it neither reads nor answers for a known time, while the kernel goes on accepting for it."""

import os
import signal
import time


def freeze(pid: int, at_ns: int, length_s: float) -> float:
    """Stop a process at a time and let it go on `length_s` later; returns for how long it was really stopped, in seconds.

    Args:
        pid: of a process of one's own.
        at_ns: CLOCK_MONOTONIC.
        length_s: of the stall.
    """
    _sleep_until(at_ns)
    os.kill(pid, signal.SIGSTOP)
    stopped_ns = time.monotonic_ns()
    try:
        _sleep_until(at_ns + round(length_s * 1e9))
    finally:
        os.kill(pid, signal.SIGCONT)
    return (time.monotonic_ns() - stopped_ns) / 1e9


def _sleep_until(at_ns: int) -> None:
    time.sleep(max(at_ns - time.monotonic_ns(), 0) / 1e9)
