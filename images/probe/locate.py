"""Where the cgroup of a process lies in the file systems that can be seen from here."""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from probe.files import read, read_or


class Mount(NamedTuple):
    """A mounted hierarchy."""

    top: str  # the cgroup that is mounted
    point: str  # where


def locate(pid: int, controller: str, root: str = "") -> str:
    """The folder of a process's cgroup for a controller (`""`: version 2).

    The path in /proc/PID/cgroup is looked up first. It does not lead there when this probe lives in a cgroup namespace
    of its own (`/../<sibling>`), or sees one part of a hierarchy only. Then every folder is asked for the process.

    Raises:
        Gone: there is no such process.
        LookupError: no folder that can be seen has it.
    """
    path = _path(pid, controller, root)
    mounts = list(_mounts(controller, root))
    for mount in mounts:
        folder = _below(mount, path)
        if folder is not None and _holds(folder, pid):
            return folder
    for mount in mounts:
        for folder, _, _ in os.walk(mount.point):
            if _holds(folder, pid):
                return folder
    kind = f"{controller} cgroup" if controller else "cgroup"
    raise LookupError(
        f"the {kind} of process {pid} ({path}) is not to be seen; mount the host's /sys/fs/cgroup read-only, and share"
        " the host's PID namespace"
    )


def _path(pid: int, controller: str, root: str) -> str:
    for line in read(f"{root}/proc/{pid}/cgroup").decode().splitlines():
        number, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") and (controller or number == "0"):
            return path
    raise LookupError(f"process {pid} has no cgroup for {controller or 'version 2'}")


def _mounts(controller: str, root: str) -> Iterator[Mount]:
    for line in read(f"{root}/proc/self/mountinfo").decode().splitlines():
        fields, _, source = line.partition(" - ")
        kind, _, options = source.split(" ", 2)
        if kind == ("cgroup" if controller else "cgroup2") and (not controller or controller in options.split(",")):
            top, point = fields.split(" ")[3:5]
            yield Mount(_unescaped(top), root + _unescaped(point))


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _below(mount: Mount, path: str) -> str | None:
    """Where a cgroup lies below a mount; None where its path does not tell."""
    if ".." in path.split("/") or ".." in mount.top.split("/"):
        return None
    relative = os.path.relpath(path, mount.top)
    return None if relative.startswith("..") else os.path.normpath(f"{mount.point}/{relative}")


def _holds(folder: str, pid: int) -> bool:
    return str(pid).encode() in read_or(f"{folder}/cgroup.procs", b"").split()
