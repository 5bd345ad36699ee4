"""The floor: a bare timerfd loop that does nothing but wake up on time, pinned like the client.

`python -m tests.bench.truth.timer RATE SECONDS` wakes RATE times a second and prints, as JSON, by how many nanoseconds each wake-up
was late. No client on this machine that sleeps between its sends can be more punctual.
"""

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_LEAD_NS = 50_000_000
_NS = 1_000_000_000


def lateness_ns(rate_per_s: float, seconds: float, core: int) -> list[int]:
    """Run the loop on a core; by how much each of its wake-ups was late, in their order."""
    command = [
        "taskset",
        "-c",
        str(core),
        sys.executable,
        "-m",
        "tests.bench.truth.timer",
        str(rate_per_s),
        str(seconds),
    ]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=seconds + 60)
    found: list[int] = json.loads(done.stdout)
    return found


def wake(rate_per_s: float, seconds: float) -> list[int]:
    """The loop itself.

    Raises:
        OSError: the kernel gives no timer.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_CLOEXEC)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    spec = (ctypes.c_long * 4)()  # interval, then value: seconds and nanoseconds of each
    clock, read, settime, late = time.monotonic_ns, os.read, libc.timerfd_settime, []
    start_ns = clock() + _LEAD_NS
    for number in range(round(rate_per_s * seconds)):
        at_ns = start_ns + round(number * _NS / rate_per_s)
        spec[2], spec[3] = divmod(at_ns, _NS)
        settime(descriptor, _ABSOLUTE, ctypes.byref(spec), None)
        read(descriptor, 8)
        late.append(clock() - at_ns)
    os.close(descriptor)
    return late


def main(arguments: Sequence[str]) -> int:
    """Run the loop and print what it found."""
    rate_per_s, seconds = map(float, arguments)
    sys.stdout.write(json.dumps(wake(rate_per_s, seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
