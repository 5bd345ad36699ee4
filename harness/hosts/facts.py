"""What a host is, for `environment.json`: all that may explain why the same trial gives other numbers elsewhere.

Each fact is None where the host does not tell. No fact holds a path or a name of the machine or its user, since
reports are made to be passed on.
"""

import os
import platform
import re
import resource
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.hosts.cpu import cpu_facts, virtualisation_facts
from harness.hosts.read import number, selected, text

CHECKOUT = Path(__file__).parents[2]
GIT_DEADLINE_S = 10.0

SYSCTLS = (
    "net.core.somaxconn",
    "net.core.netdev_max_backlog",
    "net.core.busy_poll",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "fs.file-max",
    "fs.nr_open",
    "kernel.pid_max",
    "kernel.threads-max",
    "kernel.randomize_va_space",
    "kernel.numa_balancing",
    "kernel.sched_autogroup_enabled",
    "vm.max_map_count",
    "vm.overcommit_memory",
    "vm.swappiness",
)
LIMITS = {
    "open_files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "stack_bytes": resource.RLIMIT_STACK,
    "address_space_bytes": resource.RLIMIT_AS,
    "locked_memory_bytes": resource.RLIMIT_MEMLOCK,
}


def collect_facts(root: Path = Path("/"), checkout: Path = CHECKOUT) -> dict[str, Any]:
    """Facts of this host and of the checkout, ready for JSON.

    Args:
        root: where `proc`, `sys` and `etc` are.
        checkout: the harness's own source tree.
    """
    return {
        "kernel": _kernel_facts(root),
        "os": _os_release(root),
        "cpu": cpu_facts(root),
        "memory": _memory_facts(root),
        "clock_source": text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "cgroup": _cgroup_version(root),
        "virtualisation": virtualisation_facts(root),
        "load_average": _load_average(root),
        "limits": _limits(),
        "sysctls": {name: _sysctl(root, name) for name in SYSCTLS},
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
        },
        "packages": package_versions(checkout),
        "git": git_facts(checkout),
    }


def _kernel_facts(root: Path) -> dict[str, str | None]:
    return {
        "release": text(root / "proc/sys/kernel/osrelease"),
        "version": text(root / "proc/sys/kernel/version"),
        "machine": platform.machine(),
    }


def _os_release(root: Path) -> str | None:
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)', text(root / "etc/os-release") or "", re.MULTILINE)
    return match[1] if match else None


def _memory_facts(root: Path) -> dict[str, Any]:
    pages = root / "sys/kernel/mm/transparent_hugepage"
    return {
        "total_bytes": _meminfo_bytes(root, "MemTotal"),
        "available_bytes": _meminfo_bytes(root, "MemAvailable"),
        "swap_bytes": _meminfo_bytes(root, "SwapTotal"),
        "transparent_huge_pages": selected(pages / "enabled"),
        "transparent_huge_pages_defrag": selected(pages / "defrag"),
        "numa_nodes": text(root / "sys/devices/system/node/online"),
    }


def _meminfo_bytes(root: Path, field: str) -> int | None:
    match = re.search(rf"^{field}:\s+(\d+) kB", text(root / "proc/meminfo") or "", re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _cgroup_version(root: Path) -> str | None:
    """`v2`, `v1`, or `hybrid`: v1 with an empty v2 tree beside it."""
    mounts = text(root / "proc/self/mountinfo") or ""
    kinds = {match[1] for match in re.finditer(r" - (cgroup2?) ", mounts)}
    if len(kinds) == 2:
        return "hybrid"
    return {"cgroup": "v1", "cgroup2": "v2"}.get(kinds.pop()) if kinds else None


def _load_average(root: Path) -> list[float] | None:
    words = (text(root / "proc/loadavg") or "").split()
    return [float(word) for word in words[:3]] or None


def _limits() -> dict[str, dict[str, int | None]]:
    """Soft and hard limits; None: unlimited."""
    return {name: dict(zip(("soft", "hard"), _limit(kind), strict=True)) for name, kind in LIMITS.items()}


def _limit(kind: int) -> list[int | None]:
    return [None if value == resource.RLIM_INFINITY else value for value in resource.getrlimit(kind)]


def _sysctl(root: Path, name: str) -> int | str | None:
    path = root / "proc/sys" / name.replace(".", "/")
    plain = number(path)
    return plain if plain is not None else " ".join((text(path) or "").split()) or None


def package_versions(checkout: Path) -> dict[str, str]:
    """Version of every package of the runtime lock that is installed here (some are for other platforms)."""
    lock = text(checkout / "requirements/runtime.txt") or ""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)
    return {name: version for name in names if (version := _version(name)) is not None}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_facts(checkout: Path) -> dict[str, str | bool | None]:
    """Commit of the checkout, and whether tracked or new files differ from it; None where git cannot tell."""
    commit, changes = _git(checkout, "rev-parse", "HEAD"), _git(checkout, "status", "--porcelain")
    return {"commit": commit or None, "dirty": None if changes is None else bool(changes)}


def _git(checkout: Path, *arguments: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_CEILING_DIRECTORIES": str(checkout.resolve().parent)}
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *arguments],
            capture_output=True,
            text=True,
            env=environment,
            timeout=GIT_DEADLINE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
