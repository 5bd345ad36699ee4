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


def divide_cores(
    available: Sequence[int],
    server_cores: int,
    *,
    backend: bool = False,
    siblings: Sequence[Sequence[int]] = (),
) -> CoreMap:
    """Give the server its CPUs and all others to the client's side.

    The server gets the highest numbers: the first CPUs take most of a host's interrupts, which are not its work. The
    backend, one thread, gets the next where that leaves the client one, on hosts of four CPUs and more; else it runs with
    the client.

    Two threads of one physical core slow each other down. So the sides share none where the host has enough of them:
    each of the server's CPUs is then a core of its own, of which the other thread stays idle.

    Args:
        available: CPUs that may be used.
        server_cores: how many the server is to have.
        backend: whether there is a backend.
        siblings: CPUs that share a physical core, core by core; none: each is one.

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
    physical = _physical(cores, siblings)
    server, others = _apart(physical, server_cores)
    if not backend:
        return CoreMap(server=server, client=others, shared=False)
    if len(cores) >= CORES_FOR_BACKEND and len(others) >= 2:
        own, rest = _apart(_physical(others, siblings), 1)
        return CoreMap(server=server, client=rest, shared=False, backend=own)
    return CoreMap(server=server, client=others, shared=False, backend=others)


def _physical(cores: Sequence[int], siblings: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """CPUs by physical core, the core with the highest CPU first, and in each the highest first."""
    shared = [tuple(sorted(set(cores) & set(core), reverse=True)) for core in siblings]
    alone = set(cores) - {cpu for core in shared for cpu in core}
    return sorted([core for core in shared if core] + [(cpu,) for cpu in alone], reverse=True)


def _apart(physical: Sequence[Sequence[int]], wanted: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """So many CPUs for one side, and what is left for the other: of cores that neither shares, as far as it goes."""
    if wanted < len(physical):
        taken = [core[0] for core in physical[:wanted]]
        left = [cpu for core in physical[wanted:] for cpu in core]
    else:
        everyone = [cpu for core in physical for cpu in core]
        taken, left = everyone[:wanted], everyone[wanted:]
        untouched = [cpu for core in physical if not set(core) & set(taken) for cpu in core]
        left = untouched or left
    return tuple(sorted(taken)), tuple(sorted(left))
