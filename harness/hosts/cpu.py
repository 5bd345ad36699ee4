"""Facts of the processor, and of what may stand between it and this kernel."""

import os
import re
from pathlib import Path
from typing import Any

from harness.hosts.read import number, text

CPUS = "sys/devices/system/cpu"
TURBO_ON = {"intel_pstate/no_turbo": 0, "cpufreq/boost": 1}  # file: its value when the clock may rise


def cpu_facts(root: Path) -> dict[str, Any]:
    """Model, topology, frequency control and mitigations."""
    cpus = root / CPUS
    return {
        "model": _model(root),
        "online": text(cpus / "online"),
        "usable": sorted(os.sched_getaffinity(0)),
        "isolated": text(cpus / "isolated"),
        "sockets": _distinct(cpus, "physical_package_id"),
        "cores": _physical_cores(cpus),
        "siblings": _siblings(cpus),
        "smt": text(cpus / "smt/control"),
        "caches": _caches(cpus),
        "governor": text(cpus / "cpu0/cpufreq/scaling_governor"),
        "max_khz": number(cpus / "cpu0/cpufreq/cpuinfo_max_freq"),
        "turbo": _turbo(cpus),
        "mitigations": _mitigations(cpus),
    }


def virtualisation_facts(root: Path) -> dict[str, Any]:
    """Hints at a hypervisor, WSL or a container around this process."""
    release = text(root / "proc/sys/kernel/osrelease") or ""
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text(root / "proc/cpuinfo") or "", re.MULTILINE)
    return {
        "hypervisor_flag": "hypervisor" in flags[1].split() if flags else None,
        "hypervisor": text(root / "sys/hypervisor/type"),
        "product": text(root / "sys/class/dmi/id/product_name"),
        "wsl": "microsoft" in release.lower(),
        "container": any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv")),
    }


def _model(root: Path) -> str | None:
    """Its name on x86; on arm64, which has none, implementer and part."""
    info = text(root / "proc/cpuinfo") or ""
    if match := re.search(r"^(?:model name|Model|Processor)\s*:\s*(.+)$", info, re.MULTILINE):
        return match[1]
    ids = [re.search(rf"^CPU {field}\s*:\s*(\S+)$", info, re.MULTILINE) for field in ("implementer", "part")]
    return (
        " ".join(f"{name} {found[1]}" for name, found in zip(("implementer", "part"), ids, strict=True) if found)
        or None
    )


def _topology(cpus: Path, name: str) -> list[str]:
    found = (text(path / "topology" / name) for path in sorted(cpus.glob("cpu[0-9]*")))
    return [value for value in found if value is not None]


def _distinct(cpus: Path, name: str) -> int | None:
    return len(set(_topology(cpus, name))) or None


def _physical_cores(cpus: Path) -> int | None:
    return len(set(_siblings(cpus))) or None


def _siblings(cpus: Path) -> list[str]:
    """CPUs that share a physical core, a list of them for each core."""
    return sorted(set(_topology(cpus, "thread_siblings_list")))


def _caches(cpus: Path) -> dict[str, str | None]:
    """Size of each cache of the first CPU, as the kernel writes it."""
    return {
        f"L{text(index / 'level')} {(text(index / 'type') or '').lower()}": text(index / "size")
        for index in sorted((cpus / "cpu0/cache").glob("index[0-9]*"))
    }


def _turbo(cpus: Path) -> bool | None:
    for name, on in TURBO_ON.items():
        if (value := number(cpus / name)) is not None:
            return value == on
    return None


def _mitigations(cpus: Path) -> dict[str, str | None]:
    return {path.name: text(path) for path in sorted((cpus / "vulnerabilities").glob("*"))}
