"""Who runs on which CPUs: the server apart from all that measures it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import HostError

CORES_FOR_BACKEND = 4
"""CPUs of a host from which the backend may have one of its own."""


@dataclass(frozen=True)
class CoreMap:
    """The CPUs of the sides of a measurement."""

    server: tuple[int, ...]
    client: tuple[int, ...]  # of the load client, the probe and the harness itself
    shared: bool  # the host has one CPU only: both sides fight for it, and no number tells them apart
    backend: tuple[int, ...] = ()  # of the backend; none: there is none. The client's, where it has none of its own

    @property
    def backend_apart(self) -> bool:
        """Whether the backend has a CPU of its own."""
        return bool(self.backend) and not set(self.backend) & {*self.client, *self.server}


def available_cores() -> tuple[int, ...]:
    """The CPUs that this process may use, in order."""
    return tuple(sorted(os.sched_getaffinity(0)))


def divide_cores(available: Sequence[int], server_cores: int, *, backend: bool = False) -> CoreMap:
    """Give the server its CPUs and all others to the client's side.

    The server gets the highest numbers: the first CPUs take most of a host's interrupts, which are not its work. The
    backend, one thread, gets the next where that leaves the client one, on hosts of four CPUs and more; else it runs with
    the client.

    Args:
        available: CPUs that may be used.
        server_cores: how many the server is to have.
        backend: whether there is a backend.

    Raises:
        HostError: none would be left for the client.
    """
    cores = tuple(sorted(available))
    if len(cores) == 1 and server_cores == 1:
        return CoreMap(server=cores, client=cores, shared=True, backend=cores if backend else ())
    most = max(1, len(cores) - 1)
    if server_cores > most:
        raise HostError(
            f"limits.cores: {server_cores} asked for the server, but of {len(cores)} CPUs here at most {most} can be its"
            f" own, as the load client needs one; ask for {most} or fewer, or use a larger host"
        )
    server, others = cores[-server_cores:], cores[:-server_cores]
    if not backend:
        return CoreMap(server=server, client=others, shared=False)
    if len(cores) >= CORES_FOR_BACKEND and len(others) >= 2:
        return CoreMap(server=server, client=others[:-1], shared=False, backend=others[-1:])
    return CoreMap(server=server, client=others, shared=False, backend=others)
