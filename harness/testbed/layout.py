"""What each host of a testbed is for, where it stands, and on which CPUs it runs. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.errors import SpecError
from harness.spec.inventory import ALL_ROLES, HostRole

MOST_HOSTS = 16
FIRST_ADDRESS = 11  # in the network: .11, .12, …


@dataclass(frozen=True)
class TestHost:
    """One host, as it is to be made."""

    name: str
    roles: tuple[HostRole, ...]
    cores: tuple[int, ...]  # CPUs of this machine


@dataclass(frozen=True)
class Layout:
    """All of them."""

    hosts: tuple[TestHost, ...]
    title: str  # of the inventory: which of them share CPUs

    def addresses(self, network: ipaddress.IPv4Network) -> dict[str, str]:
        """Where each host stands, by name."""
        return {host.name: str(network[FIRST_ADDRESS + number]) for number, host in enumerate(self.hosts)}


def roles_of(hosts: int) -> list[tuple[HostRole, ...]]:
    """1 host is for all; 2 and 3: client and balancer, then servers; from 4 on the balancer has a host of its own."""
    if hosts == 1:
        return [ALL_ROLES]
    beside: list[tuple[HostRole, ...]] = [("client", "balancer")] if hosts < 4 else [("client",), ("balancer",)]
    return beside + [("server",)] * (hosts - len(beside))


def lay_out(hosts: int, cores: Sequence[int], siblings: Sequence[Sequence[int]] = ()) -> Layout:
    """Decide all of it.

    Servers get the highest CPUs: the first ones take most of the interrupts, and the controller runs there, too. Where there
    are CPUs for all, each host has its own, the first host what is left over; else the servers share one half, and the
    client's side the other.

    Args:
        hosts: how many.
        cores: CPUs of this machine that may be used.
        siblings: CPUs that share a physical core, core by core; they are kept together where that works out.

    Raises:
        SpecError: so many hosts cannot be made.
    """
    if not 1 <= hosts <= MOST_HOSTS:
        raise SpecError([f"--hosts {hosts}: a testbed has 1 to {MOST_HOSTS} hosts"])
    roles = roles_of(hosts)
    shares = _shares(roles, _adjacent(cores, siblings))
    made = tuple(TestHost(f"host-{number + 1}", roles[number], shares[number]) for number in range(hosts))
    return Layout(made, _title(made))


def _adjacent(cores: Sequence[int], siblings: Sequence[Sequence[int]]) -> list[int]:
    """The CPUs by number, but those of one physical core side by side."""
    first = {cpu: min(set(core) & set(cores)) for core in siblings for cpu in core if cpu in cores}
    return sorted(cores, key=lambda cpu: (first.get(cpu, cpu), cpu))


def _shares(roles: Sequence[tuple[HostRole, ...]], cores: Sequence[int]) -> list[tuple[int, ...]]:
    hosts = len(roles)
    if len(cores) >= hosts:
        each, over = divmod(len(cores), hosts)
        starts = [0] + [over + each * number for number in range(1, hosts + 1)]
        return [tuple(sorted(cores[a:b])) for a, b in pairwise(starts)]
    if len(cores) == 1:
        return [tuple(cores)] * hosts
    beside = sum("server" not in role for role in roles)  # of the client's side
    most = len(cores) // 2
    return _dealt(cores[: min(beside, most)], beside) + _dealt(cores[min(beside, most) :], hosts - beside)


def _dealt(cores: Sequence[int], hosts: int) -> list[tuple[int, ...]]:
    """One CPU for each host, in turn; where there are more CPUs than hosts, the last has the rest."""
    if len(cores) >= hosts:
        return [(cpu,) for cpu in cores[: hosts - 1]] + [tuple(sorted(cores[hosts - 1 :]))]
    return [(cores[number % len(cores)],) for number in range(hosts)]


def _title(hosts: Sequence[TestHost]) -> str:
    by_cores: dict[tuple[int, ...], list[str]] = {}
    for host in hosts:
        by_cores.setdefault(host.cores, []).append(host.name)
    shared = [(cores, names) for cores, names in by_cores.items() if len(names) > 1]
    what = "one testbed host" if len(hosts) == 1 else f"{len(hosts)} testbed hosts"
    if not shared:
        return f"{what} on one machine, {'with' if len(hosts) == 1 else 'each with'} CPUs of its own"
    told = "; ".join(f"{_list(names)} share CPU {', '.join(map(str, cores))}" for cores, names in shared)
    title = f"{what} on one machine: {told}"
    return title if len(title) <= 200 else f"{what} on one machine, several to a CPU"


def _list(names: Sequence[str]) -> str:
    return f"{names[0]} to {names[-1]}" if len(names) > 2 and _in_a_row(names) else " and ".join(names)


def _in_a_row(names: Sequence[str]) -> bool:
    numbers = [int(name.rpartition("-")[2]) for name in names]
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))
