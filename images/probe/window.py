"""When the window begins and ends, once somebody has said so."""

import json
import math
import time
from pathlib import Path

POLL_S = 0.01  # how often window.json is looked for, before it is there


class BadWindowError(Exception):
    """What window.json says is no window."""


class Edges:
    """The window's edges, each of which is due once. What was past before it was known is due at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = False
        self._left: list[float] = []  # seconds of CLOCK_MONOTONIC

    def next_look(self) -> float:
        """When the next edge is, or when to look again whether it is known; seconds of CLOCK_MONOTONIC.

        Raises:
            BadWindowError: the file is not what it should be; its name and what it says.
        """
        if not self._known and self._path.exists():
            self._left, self._known = _read(self._path), True
        if not self._known:
            return time.monotonic() + POLL_S
        return self._left[0] if self._left else math.inf

    def due(self) -> bool:
        """Whether an edge is due now; it is then no more."""
        if not self._left or time.monotonic() < self._left[0]:
            return False
        self._left.pop(0)
        return True


def _read(path: Path) -> list[float]:
    text = path.read_text()
    try:
        told = json.loads(text)
        return [told[key] / 1e9 for key in ("start_ns", "end_ns")]
    except (ValueError, LookupError, TypeError):
        raise BadWindowError(f'{path}: must be {{"start_ns": …, "end_ns": …}}, is {text!r}') from None
