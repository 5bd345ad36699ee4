"""Counters of all workers, in memory that parent, children and threads share.

The idea is Apache's scoreboard: a slot per worker, and each slot is written by one worker only. Adding up all
slots is then exact without a lock, and what a child has counted outlives the child, however it ends: this memory
is how a forked child reports to its parent. A slot is never reset. Its next owner counts on where the last one
stopped, so there is no moment at which a count is in two places or in none, and a sum may be taken at any time,
even in a signal handler.
"""

import errno
import mmap
from typing import Final, TypeAlias

REQUESTS: Final = 0
CONNECTIONS: Final = 1
ACCEPTS: Final = 2
FORKS: Final = 3
THREADS: Final = 4
WAKEUPS: Final = 5
BAD_REQUESTS: Final = 6
ACCEPT_EAGAINS: Final = 7
BACKEND_CALLS: Final = 8
BACKEND_ERRORS: Final = 9
COUNTERS: Final = (
    "requests",
    "connections",
    "accepts",
    "forks",
    "threads",
    "wakeups",
    "bad_requests",
    "accept_eagains",
    "backend_calls",
    "backend_errors",
)

SLOTS: Final = 1 << 17  # workers at once; 16 MiB of addresses, of which only what is used becomes memory
_WORDS: Final = 16  # 64-bit words of a slot: two whole cache lines, so that workers do not share one
_WORD_BYTES: Final = 8

Counts: TypeAlias = "memoryview[int]"


class Scoreboard:
    """All slots. Slot 0 belongs to the main thread of the main process.

    Attributes:
        main: the counters of slot 0.
        workers: slots of the workers that were made ahead and stay; none where workers come and go.
    """

    __slots__ = ("_free", "_used", "_words", "main", "workers")

    def __init__(self) -> None:
        self._words: Counts = memoryview(mmap.mmap(-1, SLOTS * _WORDS * _WORD_BYTES)).cast("Q")
        self._free: list[int] = []
        self._used = 1
        self.main = self.counts(0)
        self.workers: list[int] = []

    def counts(self, slot: int) -> Counts:
        """The counters of a slot, indexed by the names above; only the slot's owner may write them."""
        return self._words[slot * _WORDS : (slot + 1) * _WORDS]

    def claim(self) -> int:
        """Take a slot that no worker owns. Only the main thread of the main process claims.

        Raises:
            BlockingIOError: every slot is owned (EAGAIN, as fork and threads say of their own limits).
        """
        try:
            return self._free.pop()
        except IndexError:
            if self._used == SLOTS:
                raise BlockingIOError(errno.EAGAIN, f"{SLOTS} workers at once are the most") from None
            self._used += 1
            return self._used - 1

    def claim_for_workers(self, number: int) -> list[int]:
        """Slots for workers that are made ahead: each is told apart in the report.

        Raises:
            BlockingIOError: there are not so many.
        """
        slots = [self.claim() for _ in range(number)]
        self.workers += slots
        return slots

    def release(self, slot: int) -> None:
        """Give a slot back when its owner has ended or ends now; what it counted stays."""
        self._free.append(slot)

    def totals(self) -> dict[str, int]:
        """The sums over all slots, by the counter's name."""
        used = self._words[: self._used * _WORDS]
        return {name: sum(used[index::_WORDS]) for index, name in enumerate(COUNTERS)}

    def by_worker(self, counter: int) -> list[int]:
        """One counter of each worker that was made ahead."""
        return [self._words[slot * _WORDS + counter] for slot in self.workers]
