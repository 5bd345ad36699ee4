"""Memory that the main process holds only to be large, because fork copies the page tables of a large parent (claim C03).

Anonymous and private, so a fork shares the pages copy-on-write and copies their page tables: 8 bytes for each page,
and a reference count to raise. A huge page needs one entry where 512 pages of 4 KiB need 512.
"""

import contextlib
import ctypes
import mmap
import re
from pathlib import Path
from typing import Final

from common.service import Service

KNOB: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_SMAPS: Final = Path("/proc/self/smaps")
_MAPPING: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) ")


def hold_ballast(service: Service) -> mmap.mmap | None:
    """Memory as the options `ballast` (bytes) and `ballast_pages` say, written to, so resident; keep the result.

    Call it before the first connection and the first fork. Exits with one line if the memory is not to be had. How much
    of it came to lie on huge pages is said in the exit report: the kernel promises nothing.
    """
    size_bytes = service.option("ballast", int)
    huge = service.option("ballast_pages", str) == "thp"
    if not size_bytes:
        return None
    if huge and (why := why_no_huge_pages(KNOB)):
        service.give_up(why)
    try:
        ballast = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        service.give_up(f"no {size_bytes} bytes for the ballast: {error.strerror}; make `ballast` smaller")
    with contextlib.suppress(OSError):  # a kernel without huge pages cannot be told to give none
        ballast.madvise(mmap.MADV_HUGEPAGE if huge else mmap.MADV_NOHUGEPAGE)  # the default differs from host to host
    for offset in range(0, size_bytes, mmap.PAGESIZE):
        ballast[offset] = 1
    service.facts["ballast_huge_bytes"] = huge_bytes(ballast)
    return ballast


def why_no_huge_pages(knob: Path) -> str | None:
    """Why the kernel gives no huge page to who asks for one, and what to do; none where it does.

    Args:
        knob: `/sys/kernel/mm/transparent_hugepage/enabled`.
    """
    try:
        setting = knob.read_text()
    except OSError as error:
        return f"ballast_pages: thp, but {knob}: {error.strerror}; use a kernel with transparent huge pages, or `4k`"
    if "[never]" in setting:
        return f"ballast_pages: thp, but {knob} says never; on this host, as root: echo madvise > {knob}"
    return None


def huge_bytes(memory: mmap.mmap) -> int:
    """How much of it lies on huge pages now (`AnonHugePages` of smaps)."""
    start = _address(memory)
    total_kib, inside = 0, False
    for line in _SMAPS.read_text().splitlines():
        if found := _MAPPING.match(line):
            inside = int(found[1], 16) < start + len(memory) and start < int(found[2], 16)
        elif inside and line.startswith("AnonHugePages:"):
            total_kib += int(line.split()[1])
    return min(total_kib << 10, len(memory))


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
