"""The hosts of a run as they are used: what runs services there, its clock, and how it is spoken to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.hosts.connection import CONTROLLERS_CLOCK, ClockOffset
from harness.placement import Machine, Placement
from harness.runtime.base import Runtime

HERE = "local"
"""Name of this machine, where no inventory names the hosts."""


@dataclass(frozen=True)
class Site:
    """One host."""

    machine: Machine
    runtime: Runtime
    clock: ClockOffset = CONTROLLERS_CLOCK

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return self.machine.name

    @property
    def here(self) -> bool:
        """Whether it is this machine."""
        return self.name == HERE


Fleet = Mapping[str, Site]
"""Every host of a run, by name."""


def fleet_of(sites: Sequence[Site]) -> Fleet:
    """By name."""
    return {site.name: site for site in sites}


def own_cores(placement: Placement) -> tuple[int, ...]:
    """CPUs of this machine that the harness may use: not the servers'; none where the run is elsewhere."""
    side = placement.sides.get(HERE)
    return () if side is None else side.client
