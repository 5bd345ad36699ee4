"""What this host gives one program that opens connections: how many files, how many ports, how much memory."""

import re
from dataclasses import dataclass
from pathlib import Path

from harness.hosts.read import text
from harness.hosts.vantage import UNLIMITED, Vantage, own_vantage


@dataclass(frozen=True)
class Room:
    """Limits of a client. None: unlimited, or not told."""

    open_files: int | None  # of one process, the hard limit
    ports: int | None  # at one source address, towards one server
    memory_bytes: int | None  # that can be had without swapping


def room_of_this_host(root: Path = Path("/"), vantage: Vantage | None = None) -> Room:
    """What there is here and now.

    Args:
        root: where `proc` is; another than `/` reads the recorded settings of another host.
        vantage: of a process there; this one by default.
    """
    _, hard = (vantage or own_vantage()).limits["open_files"]
    available = re.search(r"^MemAvailable:\s+(\d+) kB", text(root / "proc/meminfo") or "", re.MULTILINE)
    return Room(
        open_files=None if hard == UNLIMITED else hard,
        ports=_ports(root / "proc/sys/net/ipv4"),
        memory_bytes=int(available[1]) * 1024 if available else None,
    )


def _ports(settings: Path) -> int | None:
    """The range that connects take their ports from, less what is reserved."""
    bounds = [int(word) for word in (text(settings / "ip_local_port_range") or "").split()]
    if len(bounds) != 2:
        return None
    low, high = bounds
    spans = (span.partition("-") for span in (text(settings / "ip_local_reserved_ports") or "").split(",") if span)
    reserved = [(int(first), int(last or first)) for first, _, last in spans]
    return high - low + 1 - sum(max(min(last, high) - max(first, low) + 1, 0) for first, last in reserved)
