"""The access log: off, through a buffer, or a write(2) per request (claim C01 compares them)."""

import os
import threading
from pathlib import Path
from typing import Literal

BUFFER_BYTES = 65_536


class AccessLog:
    """Appends lines to a file. Processes may share the file: each has its own buffer and appends whole lines.

    A forked child inherits an empty buffer, because a parent that forks logs nothing itself.
    """

    def __init__(self, path: Path, mode: Literal["off", "buffered", "flush"]) -> None:
        self.enabled = mode != "off"
        self._limit = BUFFER_BYTES if mode == "buffered" else 0
        self._buffer = bytearray()
        self._lock = threading.Lock()  # threads share the buffer: a line belongs to exactly one flush
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) if self.enabled else -1

    def write(self, line: bytes) -> None:
        """Add one line, with its line break.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            self._buffer += line
            if len(self._buffer) >= self._limit:
                self._flush()

    def flush(self) -> None:
        """Write out what the buffer holds.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        while self._buffer:
            written = os.write(self._fd, self._buffer)
            del self._buffer[:written]
