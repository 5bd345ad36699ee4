"""Folding records into what the report says. Pure: the same records in any order and any chunks give the same totals."""

from dataclasses import dataclass, field

import numpy as np

from client import outcome
from client.buckets import Bools, Histogram, Ints
from client.records import unpack

_SLICE_NS = 100_000_000  # of the counts over time


@dataclass(frozen=True)
class Window:
    """What the totals are over: [start, end) of CLOCK_MONOTONIC, and each request's deadline."""

    start_ns: int
    end_ns: int
    timeout_ns: int


@dataclass
class Totals:
    """Everything counted so far. Slots are numbered 0 … slots-1; slot number `slots` stands for no connection."""

    window: Window
    slots: int
    intended: int = 0
    sent: int = 0
    completed_in_window: int = 0
    residence_ns: int = 0
    life_ok: int = 0
    life_unknown: int = 0
    bytes_received: int = 0
    response: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)

    def __post_init__(self) -> None:
        slices = -(-(self.window.end_ns - self.window.start_ns) // _SLICE_NS)
        self.per_slice: Ints = np.zeros(slices, np.int64)
        self.endings: Ints = np.zeros(len(outcome.NAMES), np.int64)
        self._asked = np.zeros(self.slots + 1, np.bool_)
        self._served = np.zeros(self.slots + 1, np.bool_)
        self._in_flight_ns: Ints = np.zeros(self.slots + 1, np.int64)

    @property
    def served(self) -> int:
        """Connections with an answer in the window, or with a right one in time to a request intended in it."""
        return int(np.count_nonzero(self._served))

    @property
    def starved(self) -> int:
        """Connections that were asked for something in the window and are not served."""
        return int(np.count_nonzero(self._asked[:-1] & ~self._served[:-1]))

    @property
    def in_flight_integral_ns(self) -> int:
        """Time for which the served connections had a request in flight, summed over them."""
        return int(self._in_flight_ns[self._served].sum())

    @property
    def in_flight_starved_integral_ns(self) -> int:
        """The same of the others."""
        return int(self._in_flight_ns[~self._served].sum())

    def fold(self, rows: Ints) -> None:
        """Add records of (intended, sent or 0, ended, key); times in ns."""
        if not len(rows):
            return
        intended, sent, ended = rows[:, 0], rows[:, 1], rows[:, 2]
        slots, endings, sizes = unpack(rows[:, 3])
        late = (endings == outcome.OK) & (ended - intended > self.window.timeout_ns)
        endings = np.where(late, outcome.TIMEOUT, endings)
        right = endings == outcome.OK
        self._fold_intended(intended, sent, ended, endings)
        self._fold_ended(sent, ended, right, sizes)
        self._fold_in_flight(slots, sent, ended)
        answered = right | late | (endings == outcome.STATUS) | (endings == outcome.WRONG)
        self._fold_slots(slots, rows, right, answered)
        self.life_ok += int(np.count_nonzero(right))
        self.life_unknown += int(np.count_nonzero((sent > 0) & ~right))

    def _fold_intended(self, intended: Ints, sent: Ints, ended: Ints, endings: Ints) -> None:
        """What is counted over the intended time."""
        inside = (intended >= self.window.start_ns) & (intended < self.window.end_ns)
        self.intended += int(np.count_nonzero(inside))
        self.sent += int(np.count_nonzero(sent[inside]))
        self.endings += np.bincount(endings[inside], minlength=len(self.endings))
        right = inside & (endings == outcome.OK)
        self.response.add(ended[right] - intended[right])
        self.service.add(ended[right] - sent[right])

    def _fold_ended(self, sent: Ints, ended: Ints, right: Bools, sizes: Ints) -> None:
        """What is counted over the time of the answer."""
        inside = (ended >= self.window.start_ns) & (ended < self.window.end_ns)
        self.bytes_received += int(sizes[inside].sum())
        right = inside & right
        self.completed_in_window += int(np.count_nonzero(right))
        self.residence_ns += int((ended[right] - sent[right]).sum())
        slices = (ended[right] - self.window.start_ns) // _SLICE_NS
        self.per_slice += np.bincount(slices, minlength=len(self.per_slice))

    def _fold_in_flight(self, slots: Ints, sent: Ints, ended: Ints) -> None:
        """Time in flight, clipped to the window; from the actual send, so a request never sent has none."""
        begins = np.maximum(np.where(sent > 0, sent, self.window.end_ns), self.window.start_ns)
        ends = np.minimum(ended, self.window.end_ns)
        lengths = np.maximum(ends - begins, 0)
        # In floats, and still exact: a connection has one request at a time, so its sum is within the window's length.
        self._in_flight_ns += np.bincount(slots, lengths, minlength=self.slots + 1).astype(np.int64)

    def _fold_slots(self, slots: Ints, rows: Ints, right: Bools, answered: Bools) -> None:
        """Which connections were asked for something in the window, and which were served."""
        intended, ended = rows[:, 0], rows[:, 2]
        asked = (ended >= self.window.start_ns) & (intended < self.window.end_ns)
        in_time = (ended < self.window.end_ns) & answered
        self._asked[slots[asked]] = True
        self._served[slots[asked & (in_time | (right & (intended >= self.window.start_ns)))]] = True
