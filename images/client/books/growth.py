"""The connections that come on top of those held from the start: how many, and where it ended.

Each process of a client counts its own; `merged` makes them one. A process's part is an object of

- `begun`, `served`, `held`: as in the report (docs/contract/client-report.schema.json, `Growth`);
- `first_failed_ns`: when the first of its connections that failed was begun (CLOCK_MONOTONIC), or null; `failure`: how it ended;
- `held_from`: [[ns, held], …], in order: from when on how many connections were open and answered on. It is looked at
  when a new connection is begun and when its first request has ended, so a change is told at the next of these.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from client.books import outcome
from client.books.buckets import Ints
from client.books.records import Log, unpack

Part = Mapping[str, Any]


class Growth:
    """The books of one process."""

    def __init__(self) -> None:
        self.firsts = Log(columns=4)  # first requests of new connections: (intended, sent or 0, ended, key)
        self.held_from = Log(columns=2)  # (when looked, connections held)
        self._begun = self._served = 0
        self._failed: tuple[int, int] | None = None  # (intended, ending) of the first that failed
        self._held = 0

    def look(self, at_ns: int, held: int) -> None:
        """Note how many connections are held."""
        self.held_from.push(at_ns)
        self.held_from.push(held)

    def end(self, held: int) -> None:
        """The window is over."""
        self._held = held

    def fold(self, rows: Ints, timeout_ns: int) -> None:
        """Count first requests that have ended."""
        intended, ended, endings = rows[:, 0], rows[:, 2], unpack(rows[:, 3])[1]
        late = (endings == outcome.OK) & (ended - intended > timeout_ns)
        endings = np.where(late, outcome.TIMEOUT, endings)
        failed = np.flatnonzero(endings != outcome.OK)
        self._begun += len(rows)
        self._served += len(rows) - len(failed)
        for i in failed[np.argsort(intended[failed], kind="stable")][:1].tolist():
            found = int(intended[i]), int(endings[i])
            self._failed = found if self._failed is None else min(self._failed, found)

    def part(self) -> dict[str, Any]:
        """What this process has to tell, when all is folded."""
        self.held_from.set_aside()
        looks = self.held_from.take(self.held_from.rows)
        looks = looks[np.argsort(looks[:, 0], kind="stable")]
        changes = np.flatnonzero(np.diff(looks[:, 1], prepend=-1))
        return {
            "begun": self._begun,
            "served": self._served,
            "held": self._held,
            "first_failed_ns": self._failed and self._failed[0],
            "failure": self._failed and outcome.NAMES[self._failed[1]],
            "held_from": looks[changes].tolist(),
        }


def merged(parts: Sequence[Part]) -> dict[str, Any]:
    """The growth of a whole client, as in its report.

    Where it ended is the sum over all processes of what they held when the first connection that failed was begun: of
    the process it belongs to exactly, of the others as they last looked before it.
    """
    first = min(
        (part for part in parts if part["first_failed_ns"] is not None),
        key=lambda part: int(part["first_failed_ns"]),
        default=None,
    )
    counts = {name: sum(part[name] for part in parts) for name in ("begun", "served", "held")}
    if first is None:
        return {**counts, "first_failed_at": None, "failure": None}
    held = sum(_held_at(part["held_from"], first["first_failed_ns"]) for part in parts)
    return {**counts, "first_failed_at": held, "failure": first["failure"]}


def _held_at(looks: Sequence[Sequence[int]], time_ns: int) -> int:
    """What the last look up to then saw; none: a process that had not begun held nothing."""
    i = bisect_right(looks, time_ns, key=lambda look: look[0])
    return looks[i - 1][1] if i else 0
