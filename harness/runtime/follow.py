"""Following a file that a process writes, line by line and without polling.

The controller shares a core with the load client on small hosts. A poll every few milliseconds would show in the
client's send lag; inotify and a pidfd wake this side only when there is something to read.
"""

import contextlib
import ctypes
import os
import select
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

IN_MODIFY = 0x2
POLL_S = 0.005  # between looks where the kernel cannot wake us
CHUNK_BYTES = 1 << 16


class Follower:
    """The lines of a growing file. Its descriptors close with it: a reading thread may outlive the service."""

    def __init__(self, path: Path, pid: int, begin: int = 0) -> None:
        """Open the file.

        Args:
            path: of the file.
            pid: of the process that writes it.
            begin: bytes at its start that are passed over.
        """
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.lseek(self._file, begin, os.SEEK_SET)
        self._written, self._ended = _watch(path), _pidfd(pid)
        self._wakers = [fd for fd in (self._written, self._ended) if fd is not None]
        for fd in (self._file, *self._wakers):
            weakref.finalize(self, os.close, fd)
        self._lines: deque[str] = deque()
        self._partial = b""

    def lines(self, timeout_s: float, running: Callable[[], bool]) -> Iterator[str]:
        """Lines as they come, until the process has ended and all it wrote is read; each is handed out once.

        Raises:
            TimeoutError: no line came for `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            while self._lines:
                yield self._lines.popleft()
                deadline = time.monotonic() + timeout_s
            ended = not running()  # looked at first: what was written before the end is read below
            if self._read():
                continue
            if ended:
                yield from self._last()
                return
            if time.monotonic() >= deadline:
                raise TimeoutError
            self._sleep(deadline - time.monotonic())

    def _read(self) -> bool:
        chunk = os.read(self._file, CHUNK_BYTES)
        *complete, self._partial = (self._partial + chunk).split(b"\n")
        self._lines.extend(line.decode(errors="replace") for line in complete)
        return bool(chunk)

    def _last(self) -> Iterator[str]:
        """What stands after the last line break."""
        if self._partial:
            last, self._partial = self._partial, b""
            yield last.decode(errors="replace")

    def _sleep(self, timeout_s: float) -> None:
        """Until something is written, the process ends, or the time is up."""
        poll = select.poll()
        for fd in self._wakers:
            poll.register(fd, select.POLLIN)
        poll.poll(1e3 * max(0.0, timeout_s if len(self._wakers) == 2 else min(timeout_s, POLL_S)))
        if self._written is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self._written, 4096)  # forget the events: the file itself says what is new


def _watch(path: Path) -> int | None:
    """An inotify descriptor, readable after each write; none where the user's instances are used up."""
    libc = ctypes.CDLL(None)
    fd: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        return None
    if libc.inotify_add_watch(fd, os.fsencode(path), IN_MODIFY) < 0:
        os.close(fd)
        return None
    return fd


def _pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; none on kernels before 5.3."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None
