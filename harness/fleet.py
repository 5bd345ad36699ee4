"""The hosts of a run as they are used: what runs services there, its clock, and how it is spoken to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.hosts.connection import CONTROLLERS_CLOCK, ClockOffset, Connection, Dial
from harness.hosts.cores import available_cores
from harness.hosts.room import room_of_this_host
from harness.placement import Machine, Placement
from harness.ports import LOOPBACK, Ports
from harness.runtime.base import Runtime

HERE = "local"
"""Name of this machine, where no inventory names the hosts."""


@dataclass(frozen=True)
class Site:
    """One host."""

    machine: Machine
    runtime: Runtime
    clock: ClockOffset = CONTROLLERS_CLOCK
    address: str = LOOPBACK  # at which services with the host's network listen, and the other hosts reach them
    ports: Ports = field(default_factory=Ports)
    connection: Connection | None = None  # none: it is this machine

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return self.machine.name

    @property
    def here(self) -> bool:
        """Whether it is this machine."""
        return self.connection is None

    @property
    def dial(self) -> Dial | None:
        """How the harness reaches a service there; none: directly. Hosts' own networks are often closed to whoever controls them."""
        connection = self.connection
        if connection is None:
            return None
        return lambda host, port, timeout_s: connection.dial(host, port, timeout_s=timeout_s)

    def listening_address(self, network: str) -> str:
        """Where a service in a network listens: in one of its own, everywhere."""
        return self.address if network == "host" else "0.0.0.0"  # noqa: S104 - inside its own network namespace


Fleet = Mapping[str, Site]
"""Every host of a run, by name."""


def fleet_of(sites: Sequence[Site]) -> Fleet:
    """By name."""
    return {site.name: site for site in sites}


def site_here(runtime: Runtime, cpus: Sequence[int] | None = None) -> Site:
    """This machine.

    Args:
        runtime: what runs services.
        cpus: that may be used; none given: all that this process may.
    """
    machine = Machine(HERE, tuple(available_cores() if cpus is None else cpus), room_of_this_host())
    return Site(machine, runtime)


def own_cores(fleet: Fleet, placement: Placement) -> tuple[int, ...]:
    """CPUs of this machine that the harness may use: not the servers'; none where the run is elsewhere."""
    side = next((placement.sides[name] for name in placement.hosts if fleet[name].here), None)
    return () if side is None else side.client
