"""How the threads of a process count together what they have answered (option `stats`; claim C11).

The claim is that threads communicate simply and cheaply, because they share memory: where a forked child needs a pipe
or the like, a thread adds to a number that all of them see. There are two ways to do that:

- `lock`: one number, and one lock around it, as in most programs. The lock is needed: adding to shared memory is a read
  and a write, and the GIL may change hands between them. Processes do not share it: each has a number and a lock.
- `per-thread`: each thread adds to a number that only it writes, and who wants to know adds them all up.

`off` counts nothing, and shows what the counting itself costs.
"""

import threading

from common.scoreboard import REQUESTS, Counts
from common.service import Service
from common.session import Tell


class SharedTally:
    """One number for all threads of a process. Who reads it takes no lock, so even a signal handler may."""

    def __init__(self, counts: Counts) -> None:
        """A number in this slot, which nobody else may count requests in."""
        self._counts = counts
        self._lock = threading.Lock()

    def tell(self) -> None:
        """One more request has been answered."""
        with self._lock:
            self._counts[REQUESTS] += 1


def make_tally(service: Service) -> Tell | None:
    """What the sessions of this process are to be given as their `tell`, by the option `stats`.

    With `lock` they count in the slot of the process's main thread, so a process that is forked calls this itself.
    With `off` there is nothing to tell, because `service.count_requests` is false.
    """
    return SharedTally(service.counts).tell if service.option("stats", str) == "lock" else None
