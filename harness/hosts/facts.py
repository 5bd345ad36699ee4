"""What a host is, for `environment.json`: all that may explain why the same trial gives other numbers elsewhere.

Each fact is None where the host does not tell. No fact holds a path or a name of the machine or its user, since
reports are made to be passed on. What may be changed about a host, and be a wall, is apart: settings.py.
"""

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.hosts.cpu import cpu_facts, virtualisation_facts
from harness.hosts.read import text
from harness.hosts.vantage import Vantage, own_vantage

CHECKOUT = Path(__file__).parents[2]
GIT_DEADLINE_S = 10.0


def collect_facts(root: Path = Path("/"), checkout: Path = CHECKOUT) -> dict[str, Any]:
    """Facts of this host and of the checkout, ready for JSON.

    Args:
        root: where `proc`, `sys` and `etc` are.
        checkout: the harness's own source tree.
    """
    return {
        **machine_facts(root, own_vantage()),
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "compiler": platform.python_compiler(),
        },
        "packages": package_versions(checkout),
        "git": git_facts(checkout),
    }


def machine_facts(root: Path, vantage: Vantage) -> dict[str, Any]:
    """The part of the facts that is about the host alone.

    Args:
        root: where `proc`, `sys` and `etc` are.
        vantage: of a process there.
    """
    return {
        "kernel": _kernel_facts(root, vantage.machine),
        "os": _os_release(root),
        "cpu": cpu_facts(root, vantage.cpus),
        "memory": _memory_facts(root),
        "cgroup": _cgroup_version(root),
        "virtualisation": virtualisation_facts(root),
    }


def _kernel_facts(root: Path, machine: str) -> dict[str, str | None]:
    return {
        "release": text(root / "proc/sys/kernel/osrelease"),
        "version": text(root / "proc/sys/kernel/version"),
        "machine": machine,
    }


def _os_release(root: Path) -> str | None:
    match = re.search(r'^PRETTY_NAME="?([^"\n]*)', text(root / "etc/os-release") or "", re.MULTILINE)
    return match[1] if match else None


def _memory_facts(root: Path) -> dict[str, Any]:
    return {
        "total_bytes": _meminfo_bytes(root, "MemTotal"),
        "swap_bytes": _meminfo_bytes(root, "SwapTotal"),
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
