"""Facts of the processor, and of what may stand between it and this kernel."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.hosts.read import number, text

CPUS = "sys/devices/system/cpu"
TURBO_ON = {"intel_pstate/no_turbo": 0, "cpufreq/boost": 1}  # file: its value when the clock may rise


def cpu_facts(root: Path, usable: Sequence[int]) -> dict[str, Any]:
    """Model, topology and caches; what may be changed about it is in the audit (settings.py)."""
    cpus = root / CPUS
    return {
        "model": _model(root),
        "online": text(cpus / "online"),
        "usable": list(usable),
        "isolated": text(cpus / "isolated"),
        "sockets": _distinct(cpus, "physical_package_id"),
        "cores": len(siblings(root)) or None,
        "caches": _caches(cpus),
        "max_khz": number(cpus / "cpu0/cpufreq/cpuinfo_max_freq"),
    }


def siblings(root: Path) -> tuple[tuple[int, ...], ...]:
    """CPUs that share a physical core, core by core."""
    return tuple(sorted({cpu_list(shared) for shared in _topology(root / CPUS, "thread_siblings_list")}))


def cpu_list(written: str) -> tuple[int, ...]:
    """`0-1,4` as the kernel writes it, number by number."""
    spans = (span.partition("-") for span in written.split(",") if span)
    return tuple(cpu for first, _, last in spans for cpu in range(int(first), int(last or first) + 1))


def governors(root: Path) -> tuple[str, ...]:
    """The frequency governors of all CPUs, each once; nothing where the host does not show them."""
    found = (text(path) for path in (root / CPUS).glob("cpu[0-9]*/cpufreq/scaling_governor"))
    return tuple(sorted({governor for governor in found if governor}))


def turbo(root: Path) -> bool | None:
    """Whether the clock may rise above its nominal rate; None where the host does not tell."""
    for name, on in TURBO_ON.items():
        if (value := number(root / CPUS / name)) is not None:
            return value == on
    return None


def mitigations(root: Path) -> dict[str, str | None]:
    """What the kernel does about each vulnerability of the processor."""
    return {path.name: text(path) for path in sorted((root / CPUS / "vulnerabilities").glob("*"))}


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


def _caches(cpus: Path) -> dict[str, str | None]:
    """Size of each cache of the first CPU, as the kernel writes it."""
    return {
        f"L{text(index / 'level')} {(text(index / 'type') or '').lower()}": text(index / "size")
        for index in sorted((cpus / "cpu0/cache").glob("index[0-9]*"))
    }
