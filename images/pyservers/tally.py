"""Requests answered, counted by the application: neither gunicorn nor uvicorn counts any.

Each process has a file of eight bytes, mapped into its memory, so that the launcher can add up at any time, and what a process
counted outlives it.
"""

import mmap
import os
import struct
import threading
from pathlib import Path
from typing import Final

_NUMBER: Final = struct.Struct("<Q")


class Tally:
    """One process's count. To be made after the fork."""

    def __init__(self, folder: Path) -> None:
        fd = os.open(folder / str(os.getpid()), os.O_RDWR | os.O_CREAT, 0o644)
        os.ftruncate(fd, _NUMBER.size)
        self._memory = mmap.mmap(fd, _NUMBER.size)
        os.close(fd)
        self._lock = threading.Lock()
        self._count = 0

    def add(self) -> None:
        """One more; several threads may say so at once."""
        with self._lock:
            self._count += 1
            _NUMBER.pack_into(self._memory, 0, self._count)


def total(folder: Path) -> int:
    """Of all processes, those that have ended too.

    Raises:
        OSError: a file cannot be read.
    """
    return sum(int.from_bytes(path.read_bytes()[: _NUMBER.size], "little") for path in folder.iterdir())
