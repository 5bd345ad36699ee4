"""How many processes and source addresses a load client needs for a trial, and what the host lacks for it. Pure.

Where the walls are (METHOD.md 9): a process may open so many files; a source address has so many ports towards one
server. Files are met with more processes, ports with more addresses; memory with neither.
"""

import ipaddress
import math
from dataclasses import dataclass
from urllib.parse import urlsplit

from harness.errors import HostError
from harness.hosts.room import Room
from harness.spec.experiment import Trial
from harness.spec.foreign import RunningServer
from harness.spec.traffic import Load

OWN_FILES = 256
"""Descriptors of one process beside its connections: standard streams, the loop's, libraries."""

MOST_PROCESSES = 256

BYTES_PER_CONNECTION = 12_288
"""Memory of a connection at the client's end, generously: about 2 KiB in the process, and the kernel's socket."""

TIME_WAIT_S = 60
"""How long the side that closes a connection first keeps its port (Linux: TCP_TIMEWAIT_LEN)."""

_CONNECTING_S = 60.0
_SLOWEST_CONNECTS_PER_S = 500.0

_FULL = 0.45
"""Of a loopback address's ports, as many are used. The kernel tries every second port first; once these are taken, each connect
walks past all of them (1 to 2 ms of CPU, measured). Addresses cost nothing there, so that half is left alone."""


@dataclass(frozen=True)
class ClientPlan:
    """A load client, as large as its trial needs it."""

    processes: int = 1
    sources: tuple[str, ...] = ()
    open_files: int = OWN_FILES  # of each process
    doubt: str = ""  # what may go wrong all the same, and what to do; empty: nothing


def plan_client(trial: Trial, room: Room, at_least: int = 1, *, loopback: bool = True) -> ClientPlan:
    """Processes and source addresses for a trial.

    Args:
        trial: whose load; its `clients` is the number to begin with.
        room: what the host gives.
        at_least: processes that are known to be needed, from an earlier trial of the same point.
        loopback: whether a server with host networking is on the client's own machine: addresses cost nothing there.

    Raises:
        HostError: the host lacks files, ports or memory for it; with the numbers and the remedy.
    """
    connections = most_connections(trial.load)
    processes = _processes(trial, connections, room, at_least)
    if room.memory_bytes is not None and connections * BYTES_PER_CONNECTION > room.memory_bytes:
        raise HostError(
            f"load.connections: {connections:,} connections need about {_mib(connections * BYTES_PER_CONNECTION):,} MiB at the "
            f"client's end alone, {_mib(room.memory_bytes):,} MiB are available here; ask for fewer, or use a host with more memory"
        )
    sources, doubt = _sources(trial, connections, room, loopback=loopback)
    return ClientPlan(processes, sources, -(-connections // processes) + OWN_FILES, doubt)


def connect_deadline_s(load: Load) -> float:
    """How long connecting may take: a minute, and more where there are so many that a busy machine needs it, seconds."""
    return _CONNECTING_S + load.connections / _SLOWEST_CONNECTS_PER_S


def another_helps(trial: Trial, processes: int, cpus: int) -> bool:
    """Whether a client that gave out can have one more process: a CPU for it, and a connection."""
    return processes < min(cpus, trial.load.connections, MOST_PROCESSES)


def most_connections(load: Load) -> int:
    """The most connections that it has at once: those asked for, and those that come on top (`hold`)."""
    on_top = math.ceil(load.growth.per_s * (load.warmup.s + load.window.s)) if load.growth else 0
    return load.connections + on_top


def _processes(trial: Trial, connections: int, room: Room, at_least: int) -> int:
    begin = min(max(trial.clients, at_least), trial.load.connections)
    if room.open_files is None:
        return begin
    each = room.open_files - OWN_FILES
    needed = -(-connections // each) if each > 0 else MOST_PROCESSES + 1
    if needed > min(MOST_PROCESSES, trial.load.connections):
        need = -(-connections // min(MOST_PROCESSES, trial.load.connections)) + OWN_FILES
        raise HostError(
            f"load.connections: {connections:,} connections need {need:,} open files in each of at most {MOST_PROCESSES} client "
            f"processes, the hard limit here is {room.open_files:,}; run as root `ulimit -Hn {need}`, or ask for fewer"
        )
    return max(begin, needed)


def _sources(trial: Trial, connections: int, room: Room, *, loopback: bool) -> tuple[tuple[str, ...], str]:
    """The addresses, and the doubt whether they last where the client closes first."""
    load, ports = trial.load, room.ports
    if ports is None:
        return load.sources, ""
    churned = connections + _in_time_wait(trial)
    if not load.sources and loopback and on_loopback(trial):
        return (_of_loopback(churned, ports) if churned > ports * _FULL else ()), ""
    have = ports * max(len(load.sources), 1)
    if connections > have:
        enough = -(-connections // ports) if ports else "more"
        raise HostError(
            f"load.connections: {connections:,} connections to one server need as many local ports, there are {have:,} "
            f"({ports:,} at each of {max(len(load.sources), 1)} source addresses); list {enough} addresses of this host in `load.sources`, each adds {ports:,}, "
            "or run as root `sysctl -w net.ipv4.ip_local_port_range='1024 65535'`"
        )
    if churned <= have:
        return load.sources, ""
    return load.sources, (
        f"{trial.model_name}: if this server does not close first, up to {churned:,} ports are in use or in TIME_WAIT for {TIME_WAIT_S} s "
        f"each, and there are {have:,}; each address in `load.sources` adds {ports:,}"
    )


def _in_time_wait(trial: Trial) -> int:
    """Ports that wait at the client's end, if the server leaves closing to it; ours close first.

    The client asks the server to close, and closes by itself only when the request's deadline has passed.
    """
    load = trial.load
    if isinstance(trial.model, str) or load.lifetime == "keep-alive":
        return 0
    per_s = load.connections / load.timeout.s
    rates = [rate.per_s for rate in (load.rate, *load.rates) if rate is not None]
    if rates:
        requests = load.lifetime if isinstance(load.lifetime, int) else 1
        per_s = min(per_s, max(rates) / requests)
    return math.ceil(per_s * TIME_WAIT_S)


def _of_loopback(connections: int, ports: int) -> tuple[str, ...]:
    """127.0.0.1, 127.0.0.2, …: on Linux all of 127.0.0.0/8 is local, so addresses cost nothing there."""
    first = ipaddress.IPv4Address("127.0.0.1")
    return tuple(str(first + number) for number in range(math.ceil(connections / (ports * _FULL))))


def on_loopback(trial: Trial) -> bool:
    """Whether the server is reached at an address of 127.0.0.0/8, as far as the spec tells."""
    if isinstance(trial.model, RunningServer):
        host = urlsplit(trial.model.url).hostname or ""
        return host == "localhost" or host.startswith("127.")
    return trial.network == "host"


def _mib(amount_bytes: int) -> int:
    return amount_bytes >> 20
