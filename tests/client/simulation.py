"""A client and a server on a simulated clock, around the real open loop: who was away, and when, is known exactly."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, cast

from client.books.accounts import Accounts
from client.config import Config
from client.loads.open_loop import OpenLoop
from client.pace.alarm import Alarm
from client.pace.schedule import WHOLE, schedule_of
from client.wire.slot import Slot

US, MS, S = 1_000, 1_000_000, 1_000_000_000
TURN = US  # how long a turn of an event loop takes that does not sleep


@dataclass
class World:
    """Each connection answers `service_ns` after the send; the client does nothing within its `absences`.

    Attributes:
        absences: (from, to) ns in which the client is frozen.
        late_ns: how late the client wakes up otherwise, where it sleeps.
        order: in which order the event loop deals with what is ready when an absence ends: the alarm first, the answers
            first, or only what was ready when the absence began, and the rest in the next turn.
    """

    service_ns: int
    connections: int
    rate_per_s: float
    window_ns: int
    absences: Sequence[tuple[int, int]] = ()
    late_ns: int = 0
    order: str = "alarm first"
    arrivals: Literal["constant", "poisson"] = "constant"
    now: int = 0
    sent: dict[int, int] = field(default_factory=dict)  # intended: sent
    _alarm: tuple[int, Callable[[], None]] | None = None
    _answers: list[tuple[int, int]] = field(default_factory=list)  # (arrives, slot)
    _next_turn: list[Callable[[], None]] = field(default_factory=list)

    def at(self, time_ns: int, callback: Callable[[], None]) -> None:
        """The alarm that the loop sets."""
        self._alarm = (time_ns, callback)

    def lags(self) -> dict[int, int]:
        """Play it to the end; the send lag of each request by its intended time."""
        books = Accounts(self._config)
        loop = OpenLoop(
            partial(schedule_of, self._config, WHOLE),
            cast(Alarm, self),
            books,
            timeout_ns=1_000 * S,
            next_turn=self._next_turn.append,
            clock=lambda: self.now,
        )
        slots = [_Slot(self, number) for number in range(self.connections)]
        for slot in slots:
            loop.ready(cast(Slot, slot), 0)
        loop.begin(cast(list[Slot], slots), MS, MS + self.window_ns)
        while loop.waiting or self._answers:
            self._turn(loop, slots)
        books.lags.log.set_aside()
        return dict(books.lags.log.take(1 << 30).tolist())

    def intended(self) -> int:
        """How many requests the schedule holds."""
        return schedule_of(self._config, WHOLE, MS).count(MS, MS + self.window_ns)

    @property
    def _config(self) -> Config:
        return Config(
            url="", kind="open", rate_per_s=self.rate_per_s, connections=self.connections, arrivals=self.arrivals
        )

    def _turn(self, loop: OpenLoop, slots: "list[_Slot]") -> None:
        """One turn of the event loop: what the last one left, then wait, unless that left more, and deal with what is ready."""
        callbacks, self._next_turn[:] = self._next_turn[:], []
        for callback in callbacks:
            callback()
        events = [*([self._alarm[0]] if self._alarm else []), *(arrives for arrives, _ in self._answers[:1])]
        if self._next_turn:  # the loop does not sleep
            events.append(self.now + TURN)
        asked = max(self.now, min(events))
        self.now = self._awake(asked if self._next_turn else asked + self.late_ns)
        until = asked if self.order == "alarm alone" else self.now
        rings, answered = self._alarm is not None and self._alarm[0] <= until, []
        while self._answers and self._answers[0][0] <= until:
            answered.append(heapq.heappop(self._answers)[1])
        if rings and self.order != "answers first":
            self._ring()
        for number in answered:
            loop.ready(cast(Slot, slots[number]), self.now)
        if rings and self.order == "answers first":
            self._ring()

    def _ring(self) -> None:
        assert self._alarm is not None
        callback, self._alarm = self._alarm[1], None
        callback()

    def _awake(self, time_ns: int) -> int:
        """When the client gets to what happens at this time."""
        return next((to_ns for from_ns, to_ns in self.absences if from_ns <= time_ns < to_ns), time_ns)


@dataclass
class _Slot:
    """What the loop sees of a slot."""

    world: World
    number: int
    free_since_ns: int = 0

    def launch(self, intended_ns: int, now_ns: int) -> None:
        self.world.sent[intended_ns] = now_ns
        heapq.heappush(self.world._answers, (self.world.now + self.world.service_ns, self.number))
