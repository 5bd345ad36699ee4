"""The walls that a client runs into, looked at before the first connection."""

import resource
from pathlib import Path

from client.errors import CannotRunError

_SPARE_FILES = 64  # standard streams, the loop's own, libraries

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def make_room(connections: int) -> None:
    """Raise the soft limit of open files as far as these connections need.

    Raises:
        CannotRunError: the hard limit is too low, or there are fewer local ports than connections.
    """
    need = connections + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < need:
        raise CannotRunError(
            f"{connections} connections need {need} open files, the hard limit is {hard}; "
            f"raise it (ulimit -Hn, LimitNOFILE=, docker run --ulimit nofile={need}) or use more clients"
        )
    if soft != resource.RLIM_INFINITY and soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, hard))
    ports = _local_ports()
    if ports is not None and connections > ports:
        raise CannotRunError(
            f"{connections} connections to one address need as many local ports, there are {ports}; "
            "widen net.ipv4.ip_local_port_range or use more clients"
        )


def _local_ports() -> int | None:
    """Size of the range that connects take their local ports from; none where the kernel does not tell."""
    try:
        low, high = map(int, _PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return None
    return high - low + 1
