"""Which service of a trial runs on which host, and on which of its CPUs. Pure: the same trial on the same hosts is placed alike.

Servers go to the hosts for servers in turn, client processes to the hosts for clients in turn, the balancer to the first host for
balancers, each server's backend to that server's host. One machine alone is all three.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.clients import ClientPlan, plan_client
from harness.errors import HostError
from harness.hosts.cores import CoreMap, divide_among, slices
from harness.hosts.room import Room
from harness.spec.experiment import Trial
from harness.spec.foreign import ReadyImage
from harness.spec.inventory import ALL_ROLES, HostRole


@dataclass(frozen=True)
class Machine:
    """What a placement has to know of a host."""

    name: str
    cpus: tuple[int, ...]  # that may be used
    room: Room  # what it gives a load client
    roles: tuple[HostRole, ...] = ALL_ROLES
    siblings: tuple[tuple[int, ...], ...] = ()  # CPUs that share a physical core


@dataclass(frozen=True)
class Placed:
    """One service."""

    name: str  # within the trial: server, server-2, balancer
    host: str
    cores: tuple[int, ...]


@dataclass(frozen=True)
class PlacedClient(Placed):
    """One load client: its part of the load."""

    plan: ClientPlan = field(default_factory=ClientPlan)
    connections: int = 1  # of the load's, that are its own
    first_process: int = 0  # its first among those of all clients
    first_connection: int = 0  # the same of its connections


@dataclass(frozen=True)
class Placement:
    """All services of a trial."""

    servers: tuple[Placed, ...]
    clients: tuple[PlacedClient, ...]
    balancer: Placed | None = None
    backends: Mapping[str, Placed] = field(default_factory=dict)  # by host
    sides: Mapping[str, CoreMap] = field(default_factory=dict)  # by host: the CPUs of each side there

    @property
    def processes(self) -> int:
        """Client processes, of all clients together."""
        return sum(client.plan.processes for client in self.clients)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that takes part, in the order of the inventory."""
        return tuple(self.sides)


def place(
    trial: Trial, machines: Sequence[Machine], at_least: int = 1, *, watched: bool = True, own_port: int | None = None
) -> Placement:
    """Say where everything of a trial runs.

    Args:
        trial: the trial.
        machines: the hosts, in the inventory's order.
        at_least: client processes that are known to be needed, from an earlier trial of the same point.
        watched: whether servers are started at all; not where one runs already.
        own_port: of a folder's server that cannot be told another (`contract: port`).

    Raises:
        HostError: no host has a role that the trial needs, or one lacks CPUs, files, ports or memory for its part; or several
            servers would listen on one port.
    """
    serving = _with_role(machines, "server") if watched else []
    balancing = _with_role(machines, "balancer")[:1] if trial.balanced else []
    loading = _spread_over(trial, _with_role(machines, "client"), at_least)
    numbers = {
        machine.name: [number for number in range(trial.servers) if serving[number % len(serving)] is machine]
        for machine in serving
    }
    sides = {
        machine.name: _divided(trial, machine, len(numbers.get(machine.name, ())), balancing, loading)
        for machine in machines
        if numbers.get(machine.name) or machine in balancing or machine in loading
    }
    return Placement(
        servers=_servers(trial, numbers, sides, own_port),
        clients=_clients(trial, loading, sides, at_least, alone=len(machines) == 1),
        balancer=Placed("balancer", balancing[0].name, sides[balancing[0].name].balancer) if balancing else None,
        backends={
            host: Placed("backend" if len(numbers) == 1 else f"backend-{host}", host, sides[host].backend)
            for host, there in numbers.items()
            if there and trial.handler.backend.delay is not None
        },
        sides=sides,
    )


def _with_role(machines: Sequence[Machine], role: HostRole) -> list[Machine]:
    found = [machine for machine in machines if role in machine.roles]
    if not found:
        raise HostError(
            f"no host of the inventory has the role `{role}`, which the plan needs; give it to one (`roles`)"
        )
    return found


def _spread_over(trial: Trial, hosts: Sequence[Machine], at_least: int) -> Sequence[Machine]:
    """As many hosts as there are client processes: a load that grows is one client's (harness/merging.py)."""
    if trial.load.growth is not None:
        return hosts[:1]
    return hosts[: min(max(trial.clients, at_least), trial.load.connections)]


def _divided(
    trial: Trial, machine: Machine, servers: int, balancing: Sequence[Machine], loading: Sequence[Machine]
) -> CoreMap:
    try:
        return divide_among(
            machine.cpus,
            servers=servers,
            server_cores=trial.limits.cores,
            balancer_cores=trial.balancing.cores if machine in balancing else 0,
            client=machine in loading,
            backend=bool(servers) and trial.handler.backend.delay is not None,
            siblings=machine.siblings,
        )
    except HostError as error:
        raise HostError(f"{machine.name}: {error}") from None


def _servers(
    trial: Trial, numbers: Mapping[str, Sequence[int]], sides: Mapping[str, CoreMap], own_port: int | None
) -> tuple[Placed, ...]:
    names, placed = trial.server_names, dict[int, Placed]()
    for host, there in numbers.items():
        if not there:
            continue
        _refuse_one_port_for_several(trial, host, len(there), own_port)
        for number, cores in zip(there, slices(sides[host].server, len(there), trial.limits.cores), strict=True):
            placed[number] = Placed(names[number], host, cores)
    return tuple(placed[number] for number in sorted(placed))


def _refuse_one_port_for_several(trial: Trial, host: str, servers: int, own_port: int | None) -> None:
    """A ready image listens where it always does, as does a folder's server that reads no configuration."""
    ready = isinstance(trial.model, ReadyImage)
    port = trial.model.port if isinstance(trial.model, ReadyImage) else own_port
    if servers > 1 and trial.network == "host" and port is not None:
        raise HostError(
            f"{host}: {servers} servers of the {'image' if ready else 'model'} {trial.model_name} would share its port {port}, as"
            " they have the host's network; set `network: bridge`, or give as many hosts the role `server`"
        )


def _clients(
    trial: Trial, hosts: Sequence[Machine], sides: Mapping[str, CoreMap], at_least: int, *, alone: bool
) -> tuple[PlacedClient, ...]:
    """Processes and connections dealt out in turn, the first ones one more; each host then says what its part takes."""
    asked = max(trial.clients, at_least)
    clients: list[PlacedClient] = []
    for number, machine in enumerate(hosts):
        processes, connections = (_part(whole, number, len(hosts)) for whole in (asked, trial.load.connections))
        part = trial.model_copy(
            update={"clients": processes, "load": trial.load.model_copy(update={"connections": connections})}
        )
        plan = plan_client(part, machine.room) if alone else plan_client(part, machine.room, loopback=False)
        name = "client" if len(hosts) == 1 else f"client-{number + 1}"
        clients.append(
            PlacedClient(
                name,
                machine.name,
                sides[machine.name].client,
                plan,
                connections,
                first_process=sum(client.plan.processes for client in clients),
                first_connection=sum(client.connections for client in clients),
            )
        )
    return tuple(clients)


def _part(whole: int, number: int, of: int) -> int:
    return whole // of + (number < whole % of)


def client_doubts(placements: Iterable[Placement]) -> list[str]:
    """What may go wrong with the clients all the same, each once, with the host's name where a trial has several."""
    doubts = (
        f"{client.host}: {client.plan.doubt}" if len(placement.clients) > 1 else client.plan.doubt
        for placement in placements
        for client in placement.clients
        if client.plan.doubt
    )
    return list(dict.fromkeys(doubts))
