"""The memory limit of a cgroup, in version 1 and version 2: what it is, how often it was met, and whom it cost his life."""

from typing import NamedTuple

from probe.files import keyed, read_or

_NO_LIMIT_BYTES = 1 << 62  # version 1 writes no limit as the largest number of whole pages


class Files(NamedTuple):
    """Where a version of cgroups says it, and under which name."""

    limit: str
    hits: tuple[tuple[str, str], ...]
    add: bool  # the hits: all that there are, or the first
    peak: str | None  # most that was ever used: by it a kernel is caught that has the hits' file and does not count
    kills: tuple[str, str]


V2 = Files(
    limit="memory.max",
    hits=(("memory.events.local", "max"), ("memory.events", "max")),
    add=False,
    peak=None,
    kills=("memory.events", "oom_kill"),
)
V1 = Files(
    limit="memory.limit_in_bytes",
    # Memory and swap together have a limit of their own. Where it is the same, it is met first, and alone counts.
    hits=(("memory.failcnt", ""), ("memory.memsw.failcnt", "")),
    add=True,
    peak="memory.max_usage_in_bytes",
    kills=("memory.oom_control", "oom_kill"),
)


class MemoryWall(NamedTuple):
    """What is known of it at one instant; None is unknown, or that there is no limit."""

    limit_bytes: int | None = None
    hits: int | None = None
    kills: int | None = None


class MemoryLimit:
    """The tightest limit of a cgroup and those around it, any of which may stop it.

    Args:
        folder: of the cgroup, where the memory controller's files are.
        files: of its version.
    """

    def __init__(self, folder: str, files: Files) -> None:
        self._folder = folder
        self._files = files
        self._limit_bytes: int | None = None
        self._limited = folder
        around = folder
        while (limit := read_or(f"{around}/{files.limit}", b"").strip()) or around == folder:
            limit_bytes = int(limit) if limit.isdigit() else _NO_LIMIT_BYTES
            if limit_bytes < (self._limit_bytes or _NO_LIMIT_BYTES):
                self._limit_bytes, self._limited = limit_bytes, around
            around = around.rpartition("/")[0]
            if read_or(f"{around}/memory.use_hierarchy", b"1").strip() == b"0":  # version 1: each for itself
                break

    def look(self) -> MemoryWall:
        """How things stand."""
        limit_bytes = self._limit_bytes
        hits = None if limit_bytes is None else self._hits(limit_bytes)
        name, key = self._files.kills
        return MemoryWall(limit_bytes, hits, _number(f"{self._folder}/{name}", key))

    def _hits(self, limit_bytes: int) -> int | None:
        read = (_number(f"{self._limited}/{name}", key) for name, key in self._files.hits)
        known = [number for number in read if number is not None]
        hits = sum(known if self._files.add else known[:1]) if known else None
        if hits == 0 and self._files.peak is not None:  # Linux 6.18 fails to count in version 1
            peak_bytes = _number(f"{self._limited}/{self._files.peak}", "") or 0
            return 0 if peak_bytes < limit_bytes else None
        return hits


def _number(path: str, key: str) -> int | None:
    """The number of a file, or the one under a name; None where there is none."""
    content = read_or(path, b"")
    if key:
        return keyed(content).get(key)
    return int(content) if content.strip() else None
