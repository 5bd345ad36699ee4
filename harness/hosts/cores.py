"""Who runs on which CPUs: the server apart from all that measures it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import HostError


@dataclass(frozen=True)
class CoreMap:
    """The CPUs of the two sides of a measurement."""

    server: tuple[int, ...]
    client: tuple[int, ...]  # of the load client, the probe and the harness itself
    shared: bool  # the host has one CPU only: both sides fight for it, and no number tells them apart


def available_cores() -> tuple[int, ...]:
    """The CPUs that this process may use, in order."""
    return tuple(sorted(os.sched_getaffinity(0)))


def divide_cores(available: Sequence[int], server_cores: int) -> CoreMap:
    """Give the server its CPUs and all others to the client's side.

    The server gets the highest numbers: the first CPUs take most of a host's interrupts, which are not its work.

    Args:
        available: CPUs that may be used.
        server_cores: how many the server is to have.

    Raises:
        HostError: none would be left for the client.
    """
    cores = tuple(sorted(available))
    if len(cores) == 1 and server_cores == 1:
        return CoreMap(server=cores, client=cores, shared=True)
    most = max(1, len(cores) - 1)
    if server_cores > most:
        raise HostError(
            f"limits.cores: {server_cores} asked for the server, but of {len(cores)} CPUs here at most {most} can be its"
            f" own, as the load client needs one; ask for {most} or fewer, or use a larger host"
        )
    return CoreMap(server=cores[-server_cores:], client=cores[:-server_cores], shared=False)
