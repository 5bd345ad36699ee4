"""Connections held, with a thin stream of requests through them all in turn, while new ones come."""

import time
from collections.abc import Callable, Iterator, Sequence

from client.books.accounts import Accounts
from client.books.growth import Growth
from client.loads.loops import NEVER_NS
from client.loads.open_loop import OpenLoop
from client.pace.alarm import Alarm
from client.pace.schedule import Schedule, times_until
from client.wire.slot import Slot

_AT_ONCE = 8  # new connections, in about 1 ms; then answers are read, and only then come those that are overdue

_clock = time.monotonic_ns


class Newcomers:
    """New connections on a schedule of their own, each with a first request. What is answered on joins the stream.

    One that fails is noted and not tried again. Where a first answer left no open connection, there is nothing to hold.
    """

    def __init__(
        self,
        schedule_from: Callable[[int], Schedule],
        alarm: Alarm,
        accounts: Accounts,
        books: Growth,
        *,
        open_slot: Callable[[], Slot],
        held: Callable[[], int],
        stream_first: Callable[[], None],
    ) -> None:
        """Make them.

        Args:
            schedule_from: makes their schedule, given the start of the load.
            alarm: rings when the next one is due.
            accounts: take the records of those that have joined the stream.
            books: take the records of their first requests.
            open_slot: makes a place for one more connection.
            held: how many connections are open and answered on.
            stream_first: sends what is due of the stream, as to open a connection takes ten times as long.
        """
        self._schedule_from = schedule_from
        self._alarm = alarm
        self._requests = accounts.requests
        self._books = books
        self._open_slot = open_slot
        self._held = held
        self._stream_first = stream_first
        self._times: Iterator[int] = iter(())
        self._next_ns = NEVER_NS
        self._coming: set[Slot] = set()

    def begin(self, start_ns: int, end_ns: int) -> None:
        """Let them come in [start, end)."""
        self._books.look(start_ns, self._held())
        self._times = times_until(self._schedule_from(start_ns), end_ns)
        self._next_ns = next(self._times, NEVER_NS)
        self._arm()

    def end(self) -> None:
        """The end has come; what is due by now still comes."""
        self._books.end(self._held())

    @property
    def due(self) -> bool:
        """Whether one is still to come."""
        return self._next_ns != NEVER_NS

    def is_over(self, slot: Slot, now_ns: int) -> bool:
        """Told that a slot is ready: whether it may have a request of the stream. Else it was a newcomer, and failed."""
        if slot not in self._coming:
            return True
        self._coming.remove(slot)
        self._books.look(now_ns, self._held())
        slot.record_in(self._requests)
        return slot.held

    def _come(self) -> None:
        """Begin what is due, a few at once: if more are due than can be opened, answers are still to be read in between."""
        for _ in range(_AT_ONCE):
            if (intended := self._next_ns) > _clock():
                break
            self._next_ns = next(self._times, NEVER_NS)
            self._stream_first()
            self._books.look(intended, self._held())
            slot = self._open_slot()
            slot.record_in(self._books.firsts)
            self._coming.add(slot)
            slot.launch(intended, _clock())
        self._arm()

    def _arm(self) -> None:
        if self._next_ns != NEVER_NS:
            self._alarm.at(self._next_ns, self._come)


class Hold:
    """An open loop through held connections: the one that has been free longest is next, so all have their turn."""

    def __init__(self, stream: OpenLoop, newcomers: Newcomers | None) -> None:
        self._stream = stream
        self._newcomers = newcomers

    def ready(self, slot: Slot, since_ns: int) -> None:
        """A slot can take a request of the stream, or has failed to become one that can."""
        if self._newcomers is None or self._newcomers.is_over(slot, since_ns):
            self._stream.ready(slot, since_ns)

    def begin(self, slots: Sequence[Slot], start_ns: int, end_ns: int) -> None:
        """Set stream and newcomers going."""
        self._stream.begin(slots, start_ns, end_ns)
        if self._newcomers is not None:
            self._newcomers.begin(start_ns, end_ns)

    def stop(self) -> None:
        """The end has come."""
        self._stream.stop()
        if self._newcomers is not None:
            self._newcomers.end()

    def expire(self, cutoff_ns: int, now_ns: int) -> None:
        """Give up on what has waited for a connection for too long."""
        self._stream.expire(cutoff_ns, now_ns)

    @property
    def waiting(self) -> int:
        """What is still to be sent, or to come."""
        return self._stream.waiting + (self._newcomers is not None and self._newcomers.due)
