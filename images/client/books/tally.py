"""What came of some of the requests: of those of the window, of a part of it, or of one kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from client.books import outcome
from client.books.buckets import Bools, Histogram, Ints
from client.books.records import kinds_of, unpack


@dataclass(frozen=True)
class Ended:
    """Records in columns, judged by their deadline.

    Attributes:
        intended: when each should have been sent, ns.
        sent: when it was, or 0.
        ended: when it ended.
        slots: its connection.
        endings: how it ended, with what came late as a timeout.
        sizes: bytes of its answer.
        kinds: which request of a mix it was.
        late: whether it is a right answer after its deadline.
    """

    intended: Ints
    sent: Ints
    ended: Ints
    slots: Ints
    endings: Ints
    sizes: Ints
    kinds: Ints
    late: Bools

    @classmethod
    def of(cls, rows: Ints, timeout_ns: int) -> "Ended":
        """Judge records of (intended, sent or 0, ended, key)."""
        intended, sent, ended, keys = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
        slots, endings, sizes = unpack(keys)
        late = (endings == outcome.OK) & (ended - intended > timeout_ns)
        endings = np.where(late, outcome.TIMEOUT, endings)
        return cls(intended, sent, ended, slots, endings, sizes, kinds_of(keys), late)

    @property
    def right(self) -> Bools:
        """Whether each was answered rightly in time."""
        right: Bools = self.endings == outcome.OK
        return right


@dataclass
class Tally:
    """Counts and times, over intended times."""

    intended: int = 0
    sent: int = 0
    endings: Ints = field(default_factory=lambda: np.zeros(len(outcome.NAMES), np.int64))
    response: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)

    def add(self, requests: Ended, chosen: Bools) -> None:
        """Count those that are chosen."""
        endings = requests.endings[chosen]
        self.intended += len(endings)
        self.sent += int(np.count_nonzero(requests.sent[chosen]))
        self.endings += np.bincount(endings, minlength=len(self.endings))
        right = chosen & requests.right
        ended = requests.ended[right]
        self.response.add(ended - requests.intended[right])
        self.service.add(ended - requests.sent[right])

    @property
    def ok(self) -> int:
        """Answered rightly in time."""
        return int(self.endings[outcome.OK])

    def errors(self) -> dict[str, int]:
        """The others, by kind."""
        named = zip(outcome.NAMES, self.endings.tolist(), strict=True)
        return {name: count for name, count in named if count and name != "ok"}


class Parts:
    """Equal or unequal parts of a window, by their edges."""

    def __init__(self, edges: Sequence[int]) -> None:
        self.edges = edges
        self._inner = np.array(edges[1:-1], np.int64)
        self.count = max(len(edges) - 1, 0)

    def of(self, times: Ints) -> Ints:
        """The part that each of these times of the window falls into."""
        parts: Ints = np.searchsorted(self._inner, times, side="right")
        return parts


def apart(tallies: Sequence[Tally], requests: Ended, chosen: Bools, which: Ints) -> None:
    """Count those that are chosen, each in its own tally. Records come about in order, so few tallies get any at a time."""
    for i in np.unique(which[chosen]).tolist():
        tallies[i].add(requests, chosen & (which == i))
