"""Worker processes made ahead: always as many as were asked for. Who dies is replaced."""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from common.children import Children, exit_after
from common.service import Service

_SHORT_LIFE_S: Final = (
    1.0  # who dies younger is replaced more slowly: a worker that cannot live must not become a fork bomb
)
_REST_S: Final = 0.1
_LONGEST_REST_S: Final = 1.0


class Family:
    """The main process's view of its workers. It serves nothing itself; it forks, reaps and replaces.

    Args:
        service: of the main process.
        number: of workers.
        slots_each: of the scoreboard, for each worker: one, or one for each of its threads. A replacement takes over
            the slots of the dead and counts on in them.
        life: the whole life of a worker, in its own process; it is given the worker's slots. Signals are let in
            when it calls `service.become_worker`.
        slots_apart: more slots for each worker, for its threads that serve no connection. They come first, and the
            report does not tell them apart as workers.

    Raises:
        BlockingIOError: there are not so many slots.
    """

    def __init__(
        self,
        service: Service,
        number: int,
        slots_each: int,
        life: Callable[[Sequence[int]], None],
        slots_apart: int = 0,
    ) -> None:
        self._service = service
        self._life = life
        self._children = Children(service.counts)
        self._slots: dict[int, list[int]] = {}  # of each worker, by its first
        for _ in range(number):
            apart = [service.scoreboard.claim() for _ in range(slots_apart)]
            own = apart + service.scoreboard.claim_for_workers(slots_each)
            self._slots[own[0]] = own
        self._missing = list(self._slots)
        self._born_s: dict[int, float] = {}
        self._rest_s = _REST_S
        self._rest_until_s = -math.inf

    def run(self) -> None:
        """Make the workers, and keep their number, until the service is to stop."""
        while self._service.sleep(self.tend()):
            pass

    def tend(self) -> float | None:
        """Take leave of the dead and make who is missing; for a main process that has more to do than `run`.

        Returns:
            Seconds until this is to be done again; None: when a signal comes.
        """
        self._take_leave()
        self._make_missing()
        return self._rest_left_s()

    def end(self) -> None:
        """Have them all finish. Close the listening socket first: nobody may go on accepting."""
        self._children.end()

    def _take_leave(self) -> None:
        now_s = time.monotonic()
        for slot in self._children.reap():
            self._missing.append(slot)
            if now_s - self._born_s[slot] < _SHORT_LIFE_S:
                self._rest(now_s)

    def _rest(self, now_s: float) -> None:
        """Make nobody for a while: twice as long as the last time, if that was just now."""
        if now_s < self._rest_until_s:
            return
        again = now_s - self._rest_until_s < _SHORT_LIFE_S
        self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S) if again else _REST_S
        self._rest_until_s = now_s + self._rest_s

    def _make_missing(self) -> None:
        while self._missing and not self._rest_left_s() and not self._service.stopping:
            slot = self._missing.pop()
            self._born_s[slot] = time.monotonic()
            try:
                if self._children.fork(slot):
                    exit_after(partial(self._life, self._slots[slot]))
            except OSError:  # no more processes may be had now
                self._missing.append(slot)
                self._rest(time.monotonic())

    def _rest_left_s(self) -> float | None:
        """Seconds until the next attempt, where workers are missing; none where nothing is to be done."""
        if not self._missing:
            return None
        return max(0.0, self._rest_until_s - time.monotonic()) or None
