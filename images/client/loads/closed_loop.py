"""The closed loop: each connection sends its next request when the answer is in, at once or after a think time."""

import time
from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import count, repeat

from client.books.accounts import Accounts
from client.config import Config
from client.loads.loops import NEVER_NS
from client.pace.alarm import Alarm
from client.pace.rates import Floats
from client.pace.schedule import Share, generator, one_by_one
from client.wire.slot import Slot
from client.wire.states import IDLE

_THINKING = 2  # the stream of random numbers, among those of one seed

_clock = time.monotonic_ns


class ClosedLoop:
    """The next request goes out as soon as the answer is in; the intended time is the send."""

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


class Thinking:
    """A think time lies between an answer (or a failure) and the connection's next request.

    The intended time is the send, as in any closed loop. How late that was after the think time is the send lag: the
    client's own doing. At the start each connection is in the middle of a think time, as if it had been at it for ever:
    else all would go in step.
    """

    waiting = 0

    def __init__(
        self, thinks: "Thinks", alarm: Alarm, accounts: Accounts, *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Make one.

        Args:
            thinks: the think times.
            alarm: rings when the next one is over.
            accounts: take the send lags.
            clock: CLOCK_MONOTONIC, ns.
        """
        self._next_think = thinks.each().__next__
        self._first_thinks = thinks.residual()
        self._alarm = alarm
        self._note_lag = accounts.lags.push
        self._clock = clock
        self._thinking: list[tuple[int, int, Slot]] = []  # a heap: when it is over, a number as no two are equal, whose
        self._numbers = count()
        self._armed_ns = NEVER_NS
        self._running = False

    def ready(self, slot: Slot, since_ns: int) -> None:
        """Let it think."""
        if self._running:
            over_ns = since_ns + self._next_think()
            heappush(self._thinking, (over_ns, next(self._numbers), slot))
            if over_ns < self._armed_ns:
                self._arm(over_ns)

    def begin(self, slots: Sequence[Slot], start_ns: int, end_ns: int) -> None:  # noqa: ARG002
        """Have every idle slot be in the middle of its think time; the others begin one when they are ready."""
        self._running = True
        idle = [slot for slot in slots if slot.state == IDLE]
        self._thinking = [
            (start_ns + rest_ns, number, slot)
            for rest_ns, number, slot in zip(self._first_thinks, self._numbers, idle, strict=False)
        ]
        heapify(self._thinking)
        if self._thinking:
            self._arm(self._thinking[0][0])

    def stop(self) -> None:
        """Send nothing further."""
        self._running = False
        self._thinking.clear()

    def expire(self, cutoff_ns: int, now_ns: int) -> None:
        """Nothing ever waits."""

    def _over(self) -> None:
        """Send what has been thought of, and set the alarm for the next."""
        thinking, now = self._thinking, self._clock()
        self._armed_ns = 0  # who becomes ready meanwhile need not set it
        while thinking and thinking[0][0] <= now:
            over_ns, _, slot = heappop(thinking)
            send_ns = self._clock()
            self._note_lag(send_ns, send_ns - over_ns)
            slot.launch(send_ns, send_ns)
        self._armed_ns = NEVER_NS
        if thinking:
            self._arm(thinking[0][0])

    def _arm(self, at_ns: int) -> None:
        self._armed_ns = at_ns
        self._alarm.at(at_ns, self._over)


class Thinks:
    """Think times, ns: all the same, or exponential from the seed, in the order in which they begin."""

    def __init__(self, config: Config, share: Share) -> None:
        self._think_ns = config.think_s * 1e9
        self._exponential = config.thinking == "exponential"
        self._chance = generator(config.seed, _THINKING, share)

    def each(self) -> Iterator[int]:
        """One after the other, without end."""
        if not self._exponential:
            return repeat(round(self._think_ns))
        return self._drawn(self._chance.standard_exponential)

    def residual(self) -> Iterator[int]:
        """What is left of think times at a moment that has nothing to do with them.

        Of exponential ones as much as at their beginning; of equal ones any part is equally likely.
        """
        return self._drawn(self._chance.standard_exponential if self._exponential else self._chance.random)

    def _drawn(self, draw: Callable[[int], Floats]) -> Iterator[int]:
        return (round(part * self._think_ns) for part in one_by_one(draw))
