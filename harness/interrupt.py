"""Ctrl-C once stops cleanly, twice leaves at once; SIGTERM counts as Ctrl-C."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from harness.errors import EXIT_INTERRUPTED


class Interruptible:
    """While entered: the first signal raises KeyboardInterrupt in the main thread, the second ends the process."""

    def __init__(self, says: str = "stopping: what is done is kept") -> None:
        self.interrupted = False
        self._says = f"\n{says} (once more to leave at once)\n".encode()
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interruptible":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what signal() returned, it takes back

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.interrupted:
            os.write(sys.stderr.fileno(), b"left at once; the next command removes what is still running\n")
            os._exit(EXIT_INTERRUPTED)
        self.interrupted = True
        os.write(sys.stderr.fileno(), self._says)
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def stopping_here(self) -> Iterator[None]:
        """Where an interruption ends: what follows runs as usual."""
        try:
            yield
        except KeyboardInterrupt:
            if not self.interrupted:
                raise
