"""The limits of the cgroups that this process, and what it starts, lives in: of its own and of all around it."""

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from harness.hosts.read import number, text
from harness.spec.experiment import Record

_NO_LIMIT = 1 << 62  # version 1 writes no limit as the largest number of whole pages


class CgroupLimits(Record):
    """The tightest limits of the harness's own cgroup and those around it; none: no limit, or not to be seen."""

    cpu_quota_cores: float | None = Field(description="CPU time per time that the quota allows.")
    cpuset: str | None = Field(description="CPUs that it may use.")
    memory_limit_bytes: int | None = Field(description="Memory limit.")
    pids_limit: int | None = Field(description="Most processes and threads (pids.max).")
    pids_used: int | None = Field(description="Of these, there at the start of the run.")


def own_cgroup_limits(root: Path) -> CgroupLimits:
    """Limits of this process's cgroups, version 1 or 2, whichever holds the controller.

    Args:
        root: where `proc` and `sys` are.
    """
    pids = _tightest(root, "pids", "pids.max")
    return CgroupLimits(
        cpu_quota_cores=min(_quotas(root), default=None),
        cpuset=next(_cpusets(root), None),
        memory_limit_bytes=_limit(root, "memory", "memory.limit_in_bytes", "memory.max"),
        pids_limit=None if pids is None else pids[0],
        pids_used=None if pids is None else number(pids[1] / "pids.current"),
    )


def _limit(root: Path, controller: str, *names: str) -> int | None:
    found = (_tightest(root, controller, name) for name in names)
    return min((limit[0] for limit in found if limit is not None), default=None)


def _tightest(root: Path, controller: str, name: str) -> tuple[int, Path] | None:
    """The smallest number in a file of this name, and whose it is."""
    limits = ((number(folder / name), folder) for folder in _chain(root, controller))
    return min(((limit, folder) for limit, folder in limits if limit is not None and limit < _NO_LIMIT), default=None)


def _quotas(root: Path) -> Iterator[float]:
    for folder in _chain(root, "cpu"):
        quota, period = number(folder / "cpu.cfs_quota_us"), number(folder / "cpu.cfs_period_us")
        if quota is None:
            quota, period = _pair(text(folder / "cpu.max"))
        if quota is not None and quota > 0 and period:
            yield quota / period


def _pair(content: str | None) -> tuple[int | None, int | None]:
    """`150000 100000`, or `max 100000`."""
    words = (content or "").split()
    return (int(words[0]), int(words[1])) if len(words) == 2 and words[0].isdigit() else (None, None)


def _cpusets(root: Path) -> Iterator[str]:
    for folder in _chain(root, "cpuset"):
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
            if found := text(folder / name):
                yield found


def _chain(root: Path, controller: str) -> Iterator[Path]:
    """The folder of this process's cgroup for a controller, and those of all around it, inside out."""
    for mount, path in _places(root, controller):
        folder = mount / path
        while folder.is_relative_to(mount):
            yield folder
            folder = folder.parent


def _places(root: Path, controller: str) -> Iterator[tuple[Path, str]]:
    """Where hierarchies with this controller are mounted, and this process's place in each, version 1 first."""
    paths = dict(_paths(root))
    mounts = list(_mounts(root))
    for wanted in (controller, ""):
        for controllers, top, point in mounts:
            if wanted in controllers and wanted in paths:
                inside = os.path.relpath(paths[wanted], top)
                # In a cgroup namespace the path may lead out of what is mounted: then that is all there is to see.
                yield root / point.lstrip("/"), "" if inside.startswith("..") else inside


def _paths(root: Path) -> Iterator[tuple[str, str]]:
    """Of each line of /proc/self/cgroup: controller (none in version 2) and path."""
    for line in (text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _mounts(root: Path) -> Iterator[tuple[list[str], str, str]]:
    """Controllers (one without a name in version 2), the cgroup that is mounted, and where."""
    for line in (text(root / "proc/self/mountinfo") or "").splitlines():
        fields, _, source = line.partition(" - ")
        kind, _, options = source.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            top, point = fields.split(" ")[3:5]
            yield [""] if kind == "cgroup2" else options.split(","), top, point
