"""Source addresses: every one has a range of ports of its own, so connections that take several in turn end later.

The kernel picks the port in `connect`, not in `bind` (IP_BIND_ADDRESS_NO_PORT): only then may two connections to
different places share one, and only then are all ports of the range there for each address.
"""

import ipaddress
import itertools
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from client.config import Config
from client.errors import CannotRunError
from client.limits import local_ports, most_connections
from client.wire.target import Target

_BIND_ADDRESS_NO_PORT = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)  # linux/in.h; in `socket` from Python 3.12 on
# Of a loopback address's range. The kernel tries every second port first; once these are taken, each connect walks past
# all of them (1 to 2 ms of CPU, measured). Addresses cost nothing there, so that half is left alone.
_USED_OF_A_RANGE = 0.45


class Sources:
    """Addresses of this host that connections are bound to, in turn."""

    def __init__(self, addresses: Sequence[str]) -> None:
        """Of at least one address; each is tried.

        Raises:
            CannotRunError: one is no address, or not of this host, or they are of two families.
        """
        found = [_of_this_host(address) for address in addresses]
        families = {family for family, _ in found}
        if len(families) > 1:
            raise CannotRunError("sources: one target is either IPv4 or IPv6; give addresses of one family")
        self.family = families.pop()
        self._turn = itertools.cycle([address for _, address in found])

    def bind(self, made: socket.socket) -> None:
        """Bind a socket to the next address; its port is the kernel's to pick when it connects.

        Raises:
            OSError: the address has gone.
        """
        made.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        made.bind(next(self._turn))


def _of_this_host(address: str) -> tuple[socket.AddressFamily, Any]:
    """Family and socket address.

    Raises:
        CannotRunError: it is no address, or not of this host.
    """
    try:
        family, _, _, _, found = socket.getaddrinfo(
            address, 0, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE
        )[0]
    except OSError:
        raise CannotRunError(f"sources: {address!r} is no IP address; names are not looked up here") from None
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.bind(found)
    except OSError as error:
        raise CannotRunError(
            f"sources: {address} is not an address of this host ({error.strerror}); `ip address` lists those that are, "
            "`ip address add` gives it one more"
        ) from None
    return family, found


def settled(config: Config) -> Config:
    """The configuration with its sources checked and, on loopback, with as many as its connections need.

    Raises:
        CannotRunError: a source is not of this host, or the URL names no host.
    """
    if config.sources:
        Sources(config.sources)
        return config
    ports, connections = local_ports(), most_connections(config)
    if ports is None or connections <= ports * _USED_OF_A_RANGE:
        return config
    if not any(_loopback(address[0]) for _, address in Target.of(config.url).addresses()):
        return config
    return replace(config, sources=loopback_sources(connections, ports))


def loopback_sources(connections: int, ports: int) -> tuple[str, ...]:
    """127.0.0.1, 127.0.0.2, …: as many as so many connections need. All of 127.0.0.0/8 is local on Linux."""
    count = -(-connections // max(int(ports * _USED_OF_A_RANGE), 1))
    first = ipaddress.IPv4Address("127.0.0.1")
    return tuple(str(first + number) for number in range(count))


def _loopback(host: str) -> bool:
    """Whether an address is of 127.0.0.0/8; of IPv6 there is but one, ::1."""
    return host.startswith("127.")
