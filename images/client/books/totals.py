"""Folding records into what the report says. Pure: the same records in any order and any chunks give the same totals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from client.books import outcome
from client.books.buckets import Bools, Ints
from client.books.spread import Spread
from client.books.tally import Ended, Parts, Tally, apart

_SLICE_NS = 100_000_000  # of the counts over time


@dataclass(frozen=True)
class Window:
    """What the totals are over: [start, end) of CLOCK_MONOTONIC, and each request's deadline."""

    start_ns: int
    end_ns: int
    timeout_ns: int


class Totals:
    """Everything counted so far. Slots are numbered 0 … slots-1; slot number `slots` stands for no connection."""

    def __init__(
        self,
        window: Window,
        slots: int,
        *,
        asked_for: int | None = None,
        phases: Sequence[int] = (),
        kinds: int = 0,
        spread: Spread | None = None,
    ) -> None:
        """Begin at nothing.

        Args:
            window: what the totals are over.
            slots: how many there may be.
            asked_for: how many of them, the first ones, are the connections asked for; none: all.
            phases: edges of the parts of the window that are counted apart; none where it is one.
            kinds: how many kinds of request are counted apart; 0 where there is one.
            spread: counts what came of each server, where there are several.
        """
        self.window = window
        self.slots = slots
        self._asked_for = slots if asked_for is None else asked_for
        self.whole = Tally()
        self.parts = Parts(phases)
        self.phases = [Tally() for _ in range(self.parts.count)]
        self.completed_in_phase: Ints = np.zeros(self.parts.count, np.int64)
        self.kinds = [Tally() for _ in range(kinds)]
        self.spread = Spread() if spread is None else spread
        self.completed_in_window = 0
        self.residence_ns = 0
        self.life_ok = 0
        self.life_unknown = 0
        self.bytes_received = 0
        slices = -(-(window.end_ns - window.start_ns) // _SLICE_NS)
        self.per_slice: Ints = np.zeros(slices, np.int64)
        self.errors_per_slice: Ints = np.zeros(slices, np.int64)
        self._asked = np.zeros(slots + 1, np.bool_)
        self._served = np.zeros(slots + 1, np.bool_)
        self._in_flight_ns: Ints = np.zeros(slots + 1, np.int64)

    @property
    def served(self) -> int:
        """Connections with an answer in the window, or with a right one in time to a request intended in it."""
        return int(np.count_nonzero(self._served[: self._asked_for]))

    @property
    def starved(self) -> int:
        """Connections that were asked for something in the window and are not served."""
        return int(np.count_nonzero(self._asked[: self._asked_for] & ~self._served[: self._asked_for]))

    @property
    def in_flight_integral_ns(self) -> int:
        """Time for which the served connections had a request in flight, summed over them."""
        return int(self._in_flight_ns[self._served].sum())

    @property
    def in_flight_starved_integral_ns(self) -> int:
        """The same of the others."""
        return int(self._in_flight_ns[~self._served].sum())

    def fold(self, rows: Ints, *, scheduled: bool = True) -> None:
        """Add records of (intended, sent or 0, ended, key); times in ns.

        Args:
            rows: the records.
            scheduled: whether they are of the load, and not the first requests of connections that come on top of it:
                of those is counted what is over the time of the answer, and nothing that is over intended times.
        """
        if not len(rows):
            return
        requests = Ended.of(rows, self.window.timeout_ns)
        if scheduled:
            self._fold_intended(requests)
        self._fold_ended(requests)
        self._fold_in_flight(requests)
        self._fold_slots(requests)
        right = requests.right
        self.life_ok += int(np.count_nonzero(right))
        self.life_unknown += int(np.count_nonzero((requests.sent > 0) & ~right))

    def _inside(self, times: Ints) -> Bools:
        inside: Bools = (times >= self.window.start_ns) & (times < self.window.end_ns)
        return inside

    def _fold_intended(self, requests: Ended) -> None:
        """What is counted over the intended time."""
        inside = self._inside(requests.intended)
        self.whole.add(requests, inside)
        if self.phases:
            apart(self.phases, requests, inside, self.parts.of(requests.intended))
        if self.kinds:
            apart(self.kinds, requests, inside, requests.kinds)

    def _fold_ended(self, requests: Ended) -> None:
        """What is counted over the time of the answer."""
        inside = self._inside(requests.ended)
        self.bytes_received += int(requests.sizes[inside].sum())
        self.spread.fold(requests, inside, requests.slots < self.slots)
        right = inside & requests.right
        ended = requests.ended[right]
        self.completed_in_window += len(ended)
        self.residence_ns += int((ended - requests.sent[right]).sum())
        self.per_slice += self._by_slice(ended)
        self.errors_per_slice += self._by_slice(requests.ended[inside & ~requests.right])
        if self.phases:
            self.completed_in_phase += np.bincount(self.parts.of(ended), minlength=self.parts.count)

    def _by_slice(self, times: Ints) -> Ints:
        """How many of these, all within the window, lie in each slice of it."""
        counts: Ints = np.bincount((times - self.window.start_ns) // _SLICE_NS, minlength=len(self.per_slice))
        return counts

    def _fold_in_flight(self, requests: Ended) -> None:
        """Time in flight, clipped to the window; from the actual send, so a request never sent has none."""
        sent = requests.sent
        begins = np.maximum(np.where(sent > 0, sent, self.window.end_ns), self.window.start_ns)
        ends = np.minimum(requests.ended, self.window.end_ns)
        lengths = np.maximum(ends - begins, 0)
        # In floats, and still exact: a connection has one request at a time, so its sum is within the window's length.
        self._in_flight_ns += np.bincount(requests.slots, lengths, minlength=self.slots + 1).astype(np.int64)

    def _fold_slots(self, requests: Ended) -> None:
        """Which connections were asked for something in the window, and which were served."""
        slots, endings = requests.slots, requests.endings
        answered = requests.right | requests.late | (endings == outcome.STATUS) | (endings == outcome.WRONG)
        asked = (requests.ended >= self.window.start_ns) & (requests.intended < self.window.end_ns)
        in_time = (requests.ended < self.window.end_ns) & answered
        due_here = requests.right & (requests.intended >= self.window.start_ns)
        self._asked[slots[asked]] = True
        self._served[slots[asked & (in_time | due_here)]] = True
