"""The two kinds of load: who gets the next request, and when.

Each is told by the slots when they are ready and launches requests on them; neither touches a socket.
"""

import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from client.accounts import Accounts
from client.alarm import Alarm
from client.connection import IDLE
from client.schedule import ConstantRate
from client.slot import Slot

_clock = time.monotonic_ns


class Loop(Protocol):
    """A kind of load."""

    def ready(self, slot: Slot, since_ns: int) -> None:
        """A slot can take a request."""

    def begin(self, slots: Sequence[Slot], start_ns: int, end_ns: int) -> None:
        """Intend requests in [start, end), on these slots; some may be under way with their first request."""

    def stop(self) -> None:
        """The end has come: intend nothing further. What waits for a connection is still carried out."""

    def expire(self, cutoff_ns: int, now_ns: int) -> None:
        """Give up on what waits for a connection and was intended at or before the cutoff."""

    @property
    def waiting(self) -> int:
        """Requests that wait for a free connection."""


class ClosedLoop:
    """Each connection sends its next request when the answer is in; the intended time is the send."""

    waiting = 0

    def __init__(self) -> None:
        self._running = False
        self._slots: Sequence[Slot] = ()

    def ready(self, slot: Slot, since_ns: int) -> None:
        """Send the next one. It counts as sent when the answer before it was read, about 1 µs before the call."""
        if self._running:
            slot.launch(since_ns, since_ns)

    def begin(self, slots: Sequence[Slot], start_ns: int, end_ns: int) -> None:  # noqa: ARG002
        """Start on every slot that is idle; the others go on by themselves. Called at the start."""
        self._running, self._slots = True, slots
        for slot in slots:
            slot.again = True
            if slot.state == IDLE:
                now = _clock()
                slot.launch(now, now)

    def stop(self) -> None:
        """Send nothing further."""
        self._running = False
        for slot in self._slots:
            slot.again = False

    def expire(self, cutoff_ns: int, now_ns: int) -> None:
        """Nothing ever waits."""


class OpenLoop:
    """Requests follow a schedule fixed in advance and take the connection that has been free longest."""

    def __init__(self, rate_per_s: float, alarm: Alarm, accounts: Accounts, timeout_ns: int) -> None:
        self._rate_per_s = rate_per_s
        self._alarm = alarm
        self._accounts = accounts
        self._note_lag = accounts.lags.push  # (intended, send - max(intended, connection free))
        self._timeout_ns = timeout_ns
        self._free: deque[Slot] = deque()
        self._queue: deque[int] = deque()  # intended times of what waits for a connection
        self._schedule = ConstantRate.per_second(rate_per_s, 0)
        self._next = self._last = 0

    @property
    def waiting(self) -> int:
        """Requests that wait for a free connection, or for the loop to get to them."""
        return len(self._queue) + self._last - self._next

    def ready(self, slot: Slot, since_ns: int) -> None:
        """Give the slot what has waited longest: that wait is the server's doing, not a send lag."""
        if self._queue:
            self.expire(since_ns - self._timeout_ns, since_ns)
        if not self._queue:
            slot.free_since_ns = since_ns
            self._free.append(slot)
            return
        intended = self._queue.popleft()
        self._note_lag(intended, 0)
        slot.launch(intended, since_ns)

    def begin(self, slots: Sequence[Slot], start_ns: int, end_ns: int) -> None:  # noqa: ARG002
        """Set the schedule going. May be called before the start."""
        self._schedule = ConstantRate.per_second(self._rate_per_s, start_ns)
        self._last = self._schedule.first_at_or_after(end_ns)
        self._alarm.at(start_ns, self._due)

    def stop(self) -> None:
        """Nothing to do: the schedule ends by itself."""

    def expire(self, cutoff_ns: int, now_ns: int) -> None:
        """Give up on what was intended at or before the cutoff and still has no connection."""
        while self._queue and self._queue[0] <= cutoff_ns:
            self._accounts.unsent(self._queue.popleft(), now_ns)

    def _due(self) -> None:
        """Send what is due, and set the alarm for what is next."""
        now = _clock()
        free, note_lag, intended_ns = self._free, self._note_lag, self._schedule.intended_ns
        for i in range(self._next, self._last):
            intended = intended_ns(i)
            if intended > now:
                self._alarm.at(intended, self._due)
                return
            self._next = i + 1
            if not free:
                self._queue.append(intended)
                continue
            slot = free.popleft()
            send_ns = _clock()
            note_lag(intended, send_ns - max(intended, slot.free_since_ns))
            slot.launch(intended, send_ns)
