"""Everything that the readers of this package want to know of a host, as one line of JSON.

A program of its own, standard library only, Python 3.7 or newer: its text is run on hosts that have nothing of ours. With
the word `engine` it also asks Docker. What a host does not have is left out.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MOST_BYTES = 1 << 20
MOST_CPUINFO_BYTES = 1 << 14  # one CPU's lines say it all
ENGINE_DEADLINE_S = 8

PATTERNS = (
    ".dockerenv",
    "run/.containerenv",
    "etc/os-release",
    "proc/cpuinfo",
    "proc/loadavg",
    "proc/meminfo",
    "proc/self/cgroup",
    "proc/self/mountinfo",
    "proc/self/timerslack_ns",
    "proc/self/uid_map",
    "proc/1/stat",
    "proc/sys/kernel/osrelease",
    "proc/sys/kernel/version",
    "proc/sys/kernel/random/boot_id",
    "sys/class/dmi/id/product_name",
    "sys/devices/system/clocksource/clocksource0/current_clocksource",
    "sys/devices/system/cpu/cpu0/cache/index[0-9]*/level",
    "sys/devices/system/cpu/cpu0/cache/index[0-9]*/size",
    "sys/devices/system/cpu/cpu0/cache/index[0-9]*/type",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
    "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor",
    "sys/devices/system/cpu/cpu[0-9]*/topology/physical_package_id",
    "sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list",
    "sys/devices/system/cpu/cpufreq/boost",
    "sys/devices/system/cpu/intel_pstate/no_turbo",
    "sys/devices/system/cpu/isolated",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/smt/control",
    "sys/devices/system/cpu/vulnerabilities/*",
    "sys/devices/system/node/online",
    "sys/hypervisor/type",
    "sys/kernel/mm/transparent_hugepage/enabled",
    "sys/kernel/mm/transparent_hugepage/defrag",
)
CGROUP_FILES = (
    "cpu.cfs_period_us",
    "cpu.cfs_quota_us",
    "cpu.max",
    "cpuset.cpus",
    "cpuset.cpus.effective",
    "cpuset.effective_cpus",
    "memory.limit_in_bytes",
    "memory.max",
    "pids.current",
    "pids.max",
)


def read(path: Path) -> str | None:
    """A file's text; None where it cannot be read."""
    most = MOST_CPUINFO_BYTES if path.name == "cpuinfo" else MOST_BYTES
    try:
        with path.open("rb") as file:
            return file.read(most).decode(errors="replace")
    except OSError:
        return None


def cgroup_folders() -> Iterator[Path]:
    """Where the cgroups of this process, and all around them, may be seen."""
    own = Path("/proc/self")
    places = {line.split(":", 2)[2] for line in (read(own / "cgroup") or "").splitlines()}
    for line in (read(own / "mountinfo") or "").splitlines():
        fields, _, source = line.partition(" - ")
        if not source.startswith(("cgroup ", "cgroup2 ")):
            continue
        top, mount = fields.split(" ")[3:5]
        yield Path(mount)
        for place in places:
            inside = Path(os.path.relpath(place, top))
            if ".." not in inside.parts:
                yield from (Path(mount) / part for part in (inside, *inside.parents))


def paths(sysctls: Iterable[str]) -> Iterator[Path]:
    """Every file that is wanted."""
    for pattern in PATTERNS:
        yield from Path("/").glob(pattern)
    for name in sysctls:
        yield Path("/proc/sys") / name.replace(".", "/")
    for folder in set(cgroup_folders()):
        yield from (folder / name for name in CGROUP_FILES)


def files(sysctls: Iterable[str]) -> dict[str, str]:
    """By path: the text."""
    found = {str(path): read(path) for path in paths(sysctls)}
    return {path: text for path, text in found.items() if text is not None}


def asked(*words: str) -> dict[str, Any]:
    """What a command of Docker's says: its status, output, and error."""
    try:
        done = subprocess.run(
            ("docker", *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ENGINE_DEADLINE_S,
            check=False,
        )
    except FileNotFoundError:
        return {"status": 127, "out": "", "error": ""}
    except subprocess.TimeoutExpired:
        return {"status": 124, "out": "", "error": ""}
    except OSError as error:
        return {"status": 126, "out": "", "error": str(error)}
    output, errors = (text.decode(errors="replace").strip() for text in (done.stdout, done.stderr))
    return {"status": done.returncode, "out": output, "error": errors}


def engine() -> dict[str, Any]:
    """Docker's version and architecture, and the room on the disk that its images lie on."""
    answer = asked("version", "--format", "{{.Server.Version}} {{.Server.Arch}}")
    if answer["status"] == 0:
        answer["free_bytes"] = free_bytes(asked("info", "--format", "{{.DockerRootDir}}")["out"])
    return answer


def free_bytes(folder: str) -> int | None:
    """Of the file system that a folder lies on; the folder itself need not be readable."""
    for place in (Path(folder), *Path(folder).parents) if folder else ():
        try:
            room = os.statvfs(place)
        except OSError:
            continue
        return room.f_bavail * room.f_frsize
    return None


def main(words: Sequence[str]) -> None:
    """Print it."""
    limits: Mapping[str, int] = json.loads(words[0])
    told = {
        "files": files(json.loads(words[1])),
        "limits": {name: resource.getrlimit(kind) for name, kind in limits.items()},
        "as_root": os.geteuid() == 0,
        "cpus": sorted(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "switch_interval_s": sys.getswitchinterval(),
        "engine": engine() if "engine" in words[2:] else None,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
