"""The walls that a client runs into, looked at before the first connection."""

import math
import resource
from pathlib import Path

from client.config import Config
from client.errors import CannotRunError

_SPARE_FILES = 64  # standard streams, the loop's own, libraries

_PROC = Path("/proc/sys/net/ipv4")


def most_connections(config: Config) -> int:
    """The most connections that it has at once: those asked for, and those that come on top in warm-up and window."""
    return config.connections + math.ceil((config.growth_per_s or 0.0) * (config.warmup_s + config.window_s))


def make_room(config: Config) -> None:
    """Raise the soft limit of open files as far as one process's share of the connections needs.

    Raises:
        CannotRunError: the hard limit is too low, there are fewer local ports than connections, or fewer connections than
            processes.
    """
    if config.processes > config.connections:
        raise CannotRunError(
            f"{config.processes} processes cannot share {config.connections} connections; each needs one"
        )
    connections = most_connections(config)
    _make_room_for_files(connections, config.processes)
    ports, addresses = local_ports(), max(len(config.sources), 1)
    if ports is not None and connections > ports * addresses:
        enough = -(-connections // ports) if ports else "more"
        raise CannotRunError(
            f"{connections} connections to one address need as many local ports, there are {ports} at each of "
            f"{addresses} source {'address' if addresses == 1 else 'addresses'}; give {enough} addresses of this host as "
            "`sources`, widen net.ipv4.ip_local_port_range, or use clients on more hosts"
        )


def _make_room_for_files(connections: int, processes: int) -> None:
    share = -(-connections // processes)
    need = share + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        each = f" in each of {processes} processes" if processes > 1 else ""
        enough = f" or use {-(-connections // (hard - _SPARE_FILES))} processes" if hard > _SPARE_FILES else ""
        raise CannotRunError(
            f"{share} connections{each} need {need} open files, the hard limit is {hard}; "
            f"raise it (ulimit -Hn, LimitNOFILE=, docker run --ulimit nofile={need}){enough}"
        )
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))


def local_ports(proc: Path = _PROC) -> int | None:
    """How many ports connects can take at one source address; none where the kernel does not tell.

    Args:
        proc: where the kernel's settings of IPv4 are; they hold for IPv6 too.
    """
    try:
        low, high = map(int, (proc / "ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        return None
    try:
        reserved = (proc / "ip_local_reserved_ports").read_text()
    except OSError:
        reserved = ""
    return high - low + 1 - reserved_within(reserved, low, high)


def reserved_within(text: str, low: int, high: int) -> int:
    """How many ports of a range are reserved, of a list such as `8080,9148-9150`."""
    spans = [span.partition("-") for span in text.strip().split(",") if span]
    bounds = [(int(first), int(last or first)) for first, _, last in spans]
    return sum(max(min(last, high) - max(first, low) + 1, 0) for first, last in bounds)
