"""Which host is for what, and on which CPUs."""

import ipaddress
from itertools import combinations

import pytest

from harness.errors import SpecError
from harness.testbed.layout import lay_out, roles_of


@pytest.mark.parametrize(
    ("hosts", "roles"),
    [
        (1, ["server client balancer"]),
        (2, ["client balancer", "server"]),
        (3, ["client balancer", "server", "server"]),
        (4, ["client", "balancer", "server", "server"]),
        (5, ["client", "balancer", "server", "server", "server"]),
    ],
)
def test_roles(hosts: int, roles: list[str]) -> None:
    assert [" ".join(of) for of in roles_of(hosts)] == roles


@pytest.mark.parametrize("hosts", [0, -1, 17])
def test_a_number_of_hosts_that_cannot_be_made_is_told(hosts: int) -> None:
    with pytest.raises(SpecError, match=f"--hosts {hosts}: a testbed has 1 to 16 hosts"):
        lay_out(hosts, range(4))


@pytest.mark.parametrize(
    ("hosts", "cpus", "shares"),
    [
        (1, 4, [(0, 1, 2, 3)]),
        (3, 1, [(0,), (0,), (0,)]),
        (2, 2, [(0,), (1,)]),
        (3, 2, [(0,), (1,), (1,)]),
        (4, 2, [(0,), (0,), (1,), (1,)]),
        (4, 3, [(0,), (0,), (1,), (2,)]),
        (5, 4, [(0,), (1,), (2,), (3,), (2,)]),
        (3, 8, [(0, 1, 2, 3), (4, 5), (6, 7)]),
    ],
)
def test_cpus_are_divided(hosts: int, cpus: int, shares: list[tuple[int, ...]]) -> None:
    assert [host.cores for host in lay_out(hosts, range(cpus)).hosts] == shares


@pytest.mark.parametrize("hosts", range(2, 17))
def test_servers_never_share_a_cpu_with_the_client_and_no_host_is_without(hosts: int) -> None:
    for cpus in range(2, 33):
        made = lay_out(hosts, range(cpus)).hosts
        servers = {cpu for host in made if "server" in host.roles for cpu in host.cores}
        others = {cpu for host in made if "server" not in host.roles for cpu in host.cores}
        assert not servers & others
        assert all(host.cores for host in made)


@pytest.mark.parametrize("hosts", range(2, 7))
def test_hosts_share_no_cpu_where_there_are_enough(hosts: int) -> None:
    made = lay_out(hosts, range(hosts + 3)).hosts
    assert [pair for pair in combinations(made, 2) if set(pair[0].cores) & set(pair[1].cores)] == []


def test_the_threads_of_a_core_stay_on_one_host() -> None:
    siblings = [(0, 4), (1, 5), (2, 6), (3, 7)]
    made = lay_out(4, range(8), siblings).hosts
    assert [host.cores for host in made] == siblings


@pytest.mark.parametrize(
    ("hosts", "cpus", "title"),
    [
        (1, 4, "one testbed host on one machine, with CPUs of its own"),
        (3, 4, "3 testbed hosts on one machine, each with CPUs of its own"),
        (3, 2, "3 testbed hosts on one machine: host-2 and host-3 share CPU 1"),
        (3, 1, "3 testbed hosts on one machine: host-1 to host-3 share CPU 0"),
        (4, 2, "4 testbed hosts on one machine: host-1 and host-2 share CPU 0; host-3 and host-4 share CPU 1"),
    ],
)
def test_the_title_says_who_shares_cpus(hosts: int, cpus: int, title: str) -> None:
    assert lay_out(hosts, range(cpus)).title == title


def test_a_title_fits_the_inventory_however_many_share() -> None:
    assert all(len(lay_out(16, range(cpus)).title) <= 200 for cpus in range(1, 16))


def test_each_host_has_an_address_of_the_network() -> None:
    network = ipaddress.IPv4Network("10.213.7.0/24")
    addresses = lay_out(3, range(2)).addresses(network)
    assert addresses == {"host-1": "10.213.7.11", "host-2": "10.213.7.12", "host-3": "10.213.7.13"}
