"""Who runs on which CPUs: the server apart from all that measures it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import HostError
from harness.result import Side

CORES_FOR_BACKEND = 4
"""CPUs of a host from which the backend may have one of its own."""


@dataclass(frozen=True)
class CoreMap:
    """The CPUs of the sides of a measurement."""

    server: tuple[int, ...]
    client: tuple[int, ...]  # of the load client, the probe and the harness itself
    shared: bool  # the host has one CPU only: both sides fight for it, and no number tells them apart
    backend: tuple[int, ...] = ()  # of the backend; none: there is none. The client's, where it has none of its own
    balancer: tuple[int, ...] = ()  # of the balancer, likewise

    @property
    def backend_apart(self) -> bool:
        """Whether the backend has a CPU of its own."""
        return bool(self.backend) and not set(self.backend) & {*self.client, *self.server}

    @property
    def watched(self) -> dict[Side, tuple[int, ...]]:
        """The CPUs whose load is told apart: of each side that is here, and not within another."""
        sides: dict[Side, tuple[int, ...]] = {"server": self.server, "client": self.client}
        if self.backend_apart:
            sides["backend"] = self.backend
        if self.balancer_apart:
            sides["balancer"] = self.balancer
        return {side: cpus for side, cpus in sides.items() if cpus}

    @property
    def balancer_apart(self) -> bool:
        """Whether the balancer has CPUs of its own."""
        return bool(self.balancer) and not set(self.balancer) & {*self.client, *self.server, *self.backend}


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


def divide_among(
    available: Sequence[int],
    *,
    servers: int,
    server_cores: int,
    balancer_cores: int = 0,
    client: bool = True,
    backend: bool = False,
    siblings: Sequence[Sequence[int]] = (),
) -> CoreMap:
    """The CPUs of a host on which there may be several servers, a balancer, or no load client.

    As `divide_cores`, with these differences. Several servers have CPUs of their own as long as one is left for the rest; else they
    share what they get. The balancer has CPUs of its own where two are left beyond them; else it runs with the client. A host without
    client and balancer still keeps one back, for the probe, where it has more than its servers need.

    Args:
        available: CPUs that may be used.
        servers: how many run here.
        server_cores: CPUs of each.
        balancer_cores: CPUs of the balancer; 0: it is elsewhere.
        client: whether a load client runs here.
        backend: whether a backend does.
        siblings: CPUs that share a physical core, core by core.

    Raises:
        HostError: not even one server has the CPUs that it asks for.
    """
    cores = tuple(sorted(available))
    others = client or bool(balancer_cores)
    if servers == 0:
        own, rest = _balancers(cores, balancer_cores, siblings) if client else (cores, cores)
        return CoreMap(server=(), client=rest, shared=False, balancer=own if balancer_cores else ())
    if not others:
        if server_cores > len(cores):
            raise HostError(
                f"limits.cores: {server_cores} asked for the server, there are {len(cores)} CPUs; ask for fewer"
            )
        wanted = min(servers * server_cores, max(server_cores, len(cores) - 1))
        served, rest = _apart(_physical(cores, siblings), wanted)
        rest = rest or served
        return CoreMap(server=served, client=rest, shared=False, backend=rest if backend else ())
    fitting = min(servers * server_cores, max(server_cores, len(cores) - 1))
    divided = divide_cores(cores, fitting, backend=backend, siblings=siblings)
    own, rest = _balancers(divided.client, balancer_cores, siblings)
    return replace(divided, client=rest, balancer=own if balancer_cores else ())


def slices(cores: Sequence[int], servers: int, each: int) -> list[tuple[int, ...]]:
    """The CPUs of each of several servers of one host: its own where there are enough, else all of them together."""
    if servers * each > len(cores):
        return [tuple(cores)] * servers
    return [tuple(cores[number * each : (number + 1) * each]) for number in range(servers)]


def _balancers(
    cores: tuple[int, ...], wanted: int, siblings: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The balancer's CPUs and those left for the client: the same where there are too few."""
    if not wanted or len(cores) <= wanted:
        return cores, cores
    return _apart(_physical(cores, siblings), wanted)


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
