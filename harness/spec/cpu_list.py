"""Lists of CPUs, as the kernel and a person write them."""

import re

from harness.spec.problems import shown

MOST_CPUS = 8192  # more than Linux can have

_SPAN = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def cpus(written: str) -> tuple[int, ...]:
    """`2-7,10` number by number, in order.

    Raises:
        ValueError: no such list; worded `what; what to do`.
    """
    found: set[int] = set()
    for span in written.split(","):
        match = _SPAN.fullmatch(span.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < MOST_CPUS:
            raise ValueError(f"{shown(written)} is no list of CPUs; write numbers and ranges, such as `2-7,10`")
        found.update(range(first, last + 1))
    return tuple(sorted(found))
