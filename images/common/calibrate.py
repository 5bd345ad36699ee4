"""`python -m common.calibrate`: how many iterations of the work loop take a microsecond here, as one JSON line.

Run once per run, on the core and by the interpreter of the server; a spec's `cpu: 50 us` becomes a number of
iterations, which all trials of the run then share.
"""

import json
import statistics
import sys
import time

from common.work import work

BATCHES = 15
BATCH_US = 2_000.0
_FIRST_BATCH = 10_000


def iterations_per_us() -> float:
    """The median speed of several batches, in iterations per microsecond of this thread's CPU time.

    CPU time, not wall time: another process on the core must not make the work look longer than it is.
    """
    work(_FIRST_BATCH)  # the interpreter specialises the loop in its first rounds
    batch = max(1, round(_speed(_FIRST_BATCH) * BATCH_US))
    return statistics.median(_speed(batch) for _ in range(BATCHES))


def _speed(iterations: int) -> float:
    start_ns = time.thread_time_ns()
    work(iterations)
    return iterations * 1_000 / max(1, time.thread_time_ns() - start_ns)


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"iterations_per_us": round(iterations_per_us(), 4)}) + "\n")
