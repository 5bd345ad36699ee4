"""The open loop: requests follow a schedule fixed in advance, whatever the server does."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from client.books.accounts import Accounts
from client.loads.loops import NEVER_NS
from client.pace.alarm import Alarm
from client.pace.schedule import Schedule, times_until
from client.wire.slot import Slot

_AWAKE_NS = 15_000  # to sleep and be woken costs as much CPU, so that for a shorter time it is cheaper to stay awake
_LOOK_NS = 1_000_000  # while a request waits, an open loop looks at the clock at least so often


class Absence:
    """A time in which the client did not look: from when its alarm was due until it rang, usually some microseconds.

    Requests that became due in it were noticed late. Where a connection was free meanwhile, or had an answer lying
    there unread, that is the client's doing, and theirs as a send lag, however long they then wait for the server.
    """

    __slots__ = ("free_ns", "from_ns", "turns_left", "until_ns")

    def __init__(self, from_ns: int) -> None:
        self.from_ns = self.until_ns = from_ns
        self.free_ns = NEVER_NS  # since when a connection was free
        self.turns_left = 2  # of the event loop, in which answers that lay there can still turn up

    def answer_read(self, read_ns: int) -> None:
        """An answer that may have lain there all the time counts as one that did: the doubt is not the server's."""
        if read_ns > self.from_ns:
            self.free_ns = min(self.free_ns, self.from_ns)

    def lag_ns(self, intended_ns: int) -> int:
        """How long a request was overdue beside a free connection."""
        return max(self.until_ns - max(intended_ns, self.free_ns), 0)


class OpenLoop:
    """Requests follow a schedule and take the connection that has been free longest.

    An answer is stamped when it is read. If the alarm was overdue then, the client was away, and the answer's
    connection counts as free since the alarm was due. So it does after the alarm has rung, until the event loop has
    asked the kernel once more: a process can be stopped with the alarm in its hands, before it has asked for answers.

    Before what is due in some microseconds it does not sleep. An alarm that was set for it before rings in vain.
    """

    def __init__(
        self,
        schedule_from: Callable[[int], Schedule],
        alarm: Alarm,
        accounts: Accounts,
        timeout_ns: int,
        *,
        next_turn: Callable[[Callable[[], None]], object],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """Make one.

        Args:
            schedule_from: makes the schedule, given the start of the load.
            alarm: rings when the next request is due.
            accounts: take the send lags and what is never sent.
            timeout_ns: how long a request waits for a connection.
            next_turn: calls back in the event loop's next turn, before that asks what is ready (`loop.call_soon`).
            clock: CLOCK_MONOTONIC, ns.
        """
        self._schedule_from = schedule_from
        self._alarm = alarm
        self._accounts = accounts
        self._note_lag = accounts.lags.push  # (intended, send - max(intended, connection free))
        self._timeout_ns = timeout_ns
        self._next_turn = next_turn
        self._clock = clock
        self._free: deque[Slot] = deque()
        self._queue: deque[tuple[int, Absence]] = deque()  # what waits for a connection: intended, noticed after
        self._times: Iterator[int] = iter(())
        self._next_ns = NEVER_NS  # when the next request is due
        self._absence = Absence(NEVER_NS)  # begins when the alarm is due
        self._past: deque[Absence] = deque()  # over, but answers from them may still turn up
        self._unseen_ns = NEVER_NS  # what is read after this time may have lain there since
        self._look_ns = NEVER_NS  # when to look at the clock next
        self._awake = False  # staying awake until then

    @property
    def waiting(self) -> int:
        """Requests that wait for a free connection, or for the loop to get to them."""
        return len(self._queue) + (self._next_ns != NEVER_NS)

    def ready(self, slot: Slot, since_ns: int) -> None:
        """Give the slot what has waited longest: that wait is the server's doing, but for the client's absences."""
        free_ns = since_ns
        if since_ns > self._unseen_ns:
            free_ns = self._unseen_ns
            for doubtful in (*self._past, self._absence):
                doubtful.answer_read(since_ns)
        if self._queue:
            self.expire(since_ns - self._timeout_ns, since_ns)
        if self._queue:
            intended, absence = self._queue.popleft()
            self._note_lag(intended, max(since_ns - max(intended, free_ns), absence.lag_ns(intended)))
            slot.launch(intended, since_ns)
            return
        slot.free_since_ns = free_ns
        self._free.append(slot)
        if self._look_ns - since_ns < _AWAKE_NS and not self._past:
            self._look_soon(since_ns)

    def begin(self, slots: Sequence[Slot], start_ns: int, end_ns: int) -> None:  # noqa: ARG002
        """Set the schedule going. May be called before the start."""
        self._times = times_until(self._schedule_from(start_ns), end_ns)
        self._next_ns = next(self._times, NEVER_NS)
        self._look_at(self._next_ns)

    def catch_up(self) -> None:
        """Send what is due by now: somebody is about to do something that takes longer."""
        if self._look_ns <= self._clock():
            self._due()

    def stop(self) -> None:
        """Nothing to do: the schedule ends by itself."""

    def expire(self, cutoff_ns: int, now_ns: int) -> None:
        """Give up on what was intended at or before the cutoff and still has no connection."""
        while self._queue and self._queue[0][0] <= cutoff_ns:
            self._accounts.unsent(self._queue.popleft()[0], now_ns)

    def _rung(self) -> None:
        """The alarm; in vain if the loop has stayed awake for what it was set for."""
        if not self._awake:
            self._due()

    def _due(self) -> None:
        """Send what is due, and set the alarm for what is next."""
        now = self._clock()
        self._look_ns = NEVER_NS  # what becomes ready meanwhile need not come back here
        self._carry_out(now)
        next_ns = self._next_ns
        if self._queue:
            next_ns = min(next_ns, now + _LOOK_NS)
            if not self._past:
                self._next_turn(self._turn)
            self._past.append(self._absence)
        self._look_at(next_ns)

    def _carry_out(self, now_ns: int) -> None:
        """Send what is due by now while there are free connections; the rest waits."""
        free, note_lag, times, absence = self._free, self._note_lag, self._times, self._absence
        absence.until_ns = now_ns
        if free:
            absence.free_ns = min(absence.free_ns, free[0].free_since_ns)
        while (intended := self._next_ns) <= now_ns:
            self._next_ns = next(times, NEVER_NS)
            if not free:
                self._queue.append((intended, absence))
                continue
            slot = free.popleft()
            absence.until_ns = send_ns = self._clock()
            note_lag(intended, send_ns - max(intended, slot.free_since_ns))
            slot.launch(intended, send_ns)

    def _look_at(self, time_ns: int) -> None:
        """Look at the clock again at this time; not being able to then begins an absence."""
        self._absence = Absence(time_ns)
        self._unseen_ns = self._past[0].from_ns if self._past else time_ns
        self._look_ns = time_ns
        if time_ns - self._clock() < _AWAKE_NS:
            self._stay_awake()
        elif time_ns != NEVER_NS:
            self._alarm.at(time_ns, self._rung)

    def _look_soon(self, now_ns: int) -> None:
        """It is time to look, though further answers may lie there, or nearly."""
        if self._look_ns <= now_ns:
            self._due()
        else:
            self._stay_awake()

    def _stay_awake(self) -> None:
        """Have the event loop turn, and read answers as it does, until it is time to look."""
        if not self._awake:
            self._awake = True
            self._next_turn(self._look_again)

    def _look_again(self) -> None:
        rest_ns = self._look_ns - self._clock()
        if 0 < rest_ns < _AWAKE_NS:
            self._next_turn(self._look_again)
            return
        self._awake = False  # else somebody has looked in the meantime, and set the alarm for what is next
        if rest_ns <= 0:
            self._due()

    def _turn(self) -> None:
        """A turn of the event loop is over, and with the second one an absence: all that lay there has been read."""
        for absence in self._past:
            absence.turns_left -= 1
        while self._past and not self._past[0].turns_left:
            self._past.popleft()
        if self._past:
            self._unseen_ns = self._past[0].from_ns
            self._next_turn(self._turn)
        else:
            self._unseen_ns = self._absence.from_ns
