"""The hosts of a run as they are used: what runs services there, its clock, and how it is spoken to."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from harness.errors import DeployError, HostError, RuntimeUnavailable
from harness.hosts.connection import CONTROLLERS_CLOCK, ClockOffset, Connection, Dial
from harness.hosts.cores import available_cores
from harness.hosts.room import room_of_this_host
from harness.placement import Machine, Placement
from harness.ports import LOOPBACK, Ports
from harness.runtime.base import Runtime
from harness.spec.inventory import Power

WARDEN = "warden"
"""Folder of images/: what holds a host for a run."""

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
    power: Power = field(default_factory=Power)  # commands of this machine that act on the whole host
    shares: str = ""  # name of the machine whose CPUs it shares with other hosts; none: they are its own

    @property
    def cpus_of(self) -> str:
        """Whose CPUs its numbers of CPUs mean."""
        return self.shares or self.name

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


@dataclass(frozen=True)
class Look:
    """What a host says of itself beside a trial."""

    boot_id: str
    clock: ClockOffset


Fleet = Mapping[str, Site]
"""Every host of a run, by name."""


def fleet_of(sites: Sequence[Site]) -> Fleet:
    """By name."""
    return {site.name: site for site in sites}


def site_here(runtime: Runtime, siblings: Sequence[Sequence[int]] = ()) -> Site:
    """This machine.

    Args:
        runtime: what runs services.
        siblings: CPUs that share a physical core, core by core, where that matters.
    """
    shared = tuple(map(tuple, siblings))
    return Site(Machine(HERE, available_cores(), room_of_this_host(), siblings=shared), runtime)


def rebooted(before: Mapping[str, Look], after: Mapping[str, Look]) -> list[str]:
    """Hosts that have started anew between two looks."""
    return [name for name in before if name in after and before[name].boot_id != after[name].boot_id]


def with_clocks(fleet: Fleet, looks: Mapping[str, Look]) -> Fleet:
    """The same hosts, their clocks as they are now."""
    return {name: replace(site, clock=looks[name].clock) if name in looks else site for name, site in fleet.items()}


def clean_all(fleet: Fleet) -> list[str]:
    """Remove what this run, and dead ones, left on every host; why some could not be cleaned, a line each."""

    def clean(site: Site) -> str:
        try:
            site.runtime.clean()
        except (HostError, DeployError, RuntimeUnavailable) as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(len(fleet)) as pool:
        return [trouble for trouble in pool.map(clean, fleet.values()) if trouble]


def own_cores(fleet: Fleet, placement: Placement) -> tuple[int, ...]:
    """CPUs of this machine that the harness may use: not the servers'; none where the run is elsewhere."""
    side = next((placement.sides[name] for name in placement.hosts if fleet[name].here), None)
    return () if side is None else side.client
