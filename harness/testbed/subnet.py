"""An address range that nothing here uses."""

import ipaddress
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import docker
from docker.errors import APIError
from docker.types import IPAMConfig, IPAMPool

from harness.errors import HostError

RANGES = tuple(ipaddress.IPv4Network(f"10.213.{number}.0/24") for number in range(256))


def free_ranges(name: str, used: Sequence[ipaddress.IPv4Network]) -> Iterator[ipaddress.IPv4Network]:
    """Ranges of a testbed, none of which overlaps what is used; which comes first depends on the testbed's name.

    Raises:
        HostError: there is none left.
    """
    start = zlib.crc32(name.encode()) % len(RANGES)
    free = [candidate for candidate in RANGES[start:] + RANGES[:start] if not any(map(candidate.overlaps, used))]
    if not free:
        raise HostError(
            f"testbed: all of {RANGES[0][0]} to {RANGES[-1][-1]} is used on this machine; remove Docker networks that nobody needs"
        )
    yield from free


def used_ranges(client: docker.DockerClient, routes: Path = Path("/proc/net/route")) -> list[ipaddress.IPv4Network]:
    """Of Docker's networks, and of this machine's routes but the default one."""
    networks = [
        ipaddress.ip_network(config["Subnet"], strict=False)
        for network in client.networks.list()
        for config in network.attrs.get("IPAM", {}).get("Config") or []
        if config.get("Subnet")
    ]
    return [network for network in networks if isinstance(network, ipaddress.IPv4Network)] + routed(routes)


def routed(routes: Path) -> list[ipaddress.IPv4Network]:
    """Networks of the kernel's table: destination and mask are 32-bit numbers of the machine's own byte order.

    Args:
        routes: the table, as /proc/net/route.
    """
    found = []
    for line in routes.read_text().splitlines()[1:]:
        fields = line.split()
        destination, mask = (_address(fields[column]) for column in (1, 7))
        if int(mask):
            found.append(ipaddress.IPv4Network((int(destination), int(mask).bit_count())))
    return found


def _address(hexadecimal: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(struct.pack("=I", int(hexadecimal, 16)))


def make_network(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> ipaddress.IPv4Network:
    """A bridge network in a range that is free.

    Args:
        client: of the engine that makes it.
        name: of the network.
        labels: of the network.

    Raises:
        HostError: no range is free, or a network of that name is there already.
        APIError: the engine refuses for another reason.
    """
    if client.networks.list(names=[f"^{name}$"]):
        raise HostError(f"testbed: a Docker network {name} is there, and not ours; remove it: docker network rm {name}")
    for candidate in free_ranges(name, used_ranges(client)):
        pool = IPAMConfig(pool_configs=[IPAMPool(subnet=str(candidate), gateway=str(candidate[1]))])
        try:
            client.networks.create(name, driver="bridge", ipam=pool, labels=dict(labels))
        except APIError as error:
            if "overlap" not in str(error.explanation):
                raise
            continue  # somebody took it meanwhile
        return candidate
    raise HostError("testbed: every range that was free has been taken meanwhile; try again")
