"""What a host of an inventory may say, and what several may not say together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from harness.spec.addresses import ip_of, no_data_address, written_once
from harness.spec.cpu_list import cpus
from harness.spec.inventory import HostRole, InventoryHost
from harness.spec.node import Node
from harness.spec.problems import Problems, shown

SSH_PORT = 22

_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_NAME_OF_DNS = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
_JUMP = re.compile(r"(?:(?P<user>[^@]*)@)?(?P<host>[^:@]+)(?::(?P<port>[^:]*))?")


@dataclass(frozen=True)
class ListedHost:
    """A host as far as it can be read, with its place."""

    node: Node
    host: InventoryHost
    broken: frozenset[str]  # keys that cannot be read: the host has their defaults, or for its address a stand-in


def is_host_name(text: str) -> bool:
    """Whether a host, or an inventory, may be called so."""
    return _HOST_NAME.fullmatch(text) is not None


def check_hosts(hosts: Mapping[str, ListedHost], roles_line: int, folder: Path, problems: Problems) -> None:
    """Note whatever is wrong with the hosts of an inventory.

    Args:
        hosts: by name.
        roles_line: where to tell that a role is missing.
        folder: of the inventory, which key files are relative to.
        problems: takes them.
    """
    for name, listed in hosts.items():
        _check_name(name, listed.node, problems)
        _check_host(listed.host, listed.node, folder, problems)
    _check_places(hosts, problems)
    _check_data(hosts, problems)
    if hosts:
        _check_roles([listed.host for listed in hosts.values()], roles_line, problems)


def _check_name(name: str, node: Node, problems: Problems) -> None:
    if not is_host_name(name):
        fix = "write lower-case letters, digits, `-` and `.`, a letter or digit first, at most 63"
        problems.add(node.place, f"{shown(name)} is no host's name", fix)


def _check_host(host: InventoryHost, node: Node, folder: Path, problems: Problems) -> None:
    def note(key: str, what: str, fix: str) -> None:
        problems.add(node.reach(key.split("."))[0].place, f"`{key}` is {what}", fix)

    if not _is_address(host.address):
        note(
            "address",
            f"{shown(host.address)}, no host's address",
            "write a name or an IP address; user and port have keys of their own",
        )
    if host.data is not None and (wrong := no_data_address(host.data)):
        note("data", f"{shown(host.data)}, {wrong[0]}", wrong[1])
    if host.user is not None and not _USER.fullmatch(host.user):
        note("user", f"{shown(host.user)}, no user's name", "write the name to log in with")
    if host.jump is not None and not _is_jump(host.jump):
        note("jump", f"{shown(host.jump)}, no way to a host", "write `[user@]host[:port]`")
    if host.key is not None and not (folder / Path(host.key).expanduser()).is_file():
        note(
            "key", f"{shown(host.key)}, and there is no such file", "name a private key file, relative to the inventory"
        )
    if len(set(host.roles)) < len(host.roles):
        note("roles", "a list that names a role twice", "write each once")
    for word, command in host.power:
        if command and not command[0]:
            note(f"power.{word}", "a command without a program", "write the program first, then its arguments")
    if host.cores is not None:
        try:
            cpus(host.cores)
        except ValueError as error:
            what, _, fix = str(error).partition("; ")
            problems.add(node.reach(("cores",))[0].place, f"`cores`: {what}", fix)


def _check_places(hosts: Mapping[str, ListedHost], problems: Problems) -> None:
    """Two names for one machine would share its cores, and nobody would know."""
    taken: dict[object, str] = {}
    for name, listed in hosts.items():
        host = listed.host
        if listed.broken & {"address", "port", "jump"}:
            continue
        key = (written_once(host.address), host.port or SSH_PORT, host.jump)
        if (first := taken.setdefault(key, name)) != name:
            what = f"`{name}` has the address and port of `{first}`"
            problems.add(listed.node.reach(("address",))[0].place, what, "list a host once, with all its roles")


def _check_data(hosts: Mapping[str, ListedHost], problems: Problems) -> None:
    """Load for one host would go to another, or stay with the sender."""
    taken: dict[str, str] = {}
    for name, listed in hosts.items():
        address = ip_of(listed.host.data or "")
        if address is None:
            continue
        place = listed.node.reach(("data",))[0].place
        if (first := taken.setdefault(str(address), name)) != name:
            problems.add(place, f"`{name}` has the `data` address of `{first}`", "each host has its own")
        if address.is_loopback and len(hosts) > 1:
            what = f"`data` is {shown(listed.host.data)}, at which each host reaches itself"
            problems.add(place, what, "write the IP address that the other hosts reach")
        for other, its in hosts.items():
            if other != name and str(address) in _address_of(its):
                what = f"the `data` address of `{name}` is the `address` of `{other}`"
                problems.add(place, what, "each host has its own")


def _address_of(listed: ListedHost) -> tuple[str, ...]:
    """Where SSH reaches a host, if that is an address of the host itself.

    Behind another port may be another machine, to which a router forwards: that is known to be the host's own only where it
    is the data address, too.
    """
    host, broken = listed.host, listed.broken
    own = (host.port in (None, SSH_PORT) and "port" not in broken) or (host.data is None and "data" not in broken)
    return (written_once(host.address),) if own and "address" not in broken else ()


def _check_roles(hosts: list[InventoryHost], line: int, problems: Problems) -> None:
    for role in get_args(HostRole)[:2]:
        if not any(role in host.roles for host in hosts):
            problems.add(line, f"no host has the role `{role}`", f"add `{role}` to the `roles` of one")


def _is_address(text: str) -> bool:
    if ip_of(text) is not None:
        return True
    four_numbers = re.fullmatch(r"[\d.]+", text)  # such as 10.0.0.300: no name either
    return bool(_NAME_OF_DNS.fullmatch(text)) and ".." not in text and not four_numbers


def _is_jump(text: str) -> bool:
    match = _JUMP.fullmatch(text)
    if match is None or not _is_address(match["host"]):
        return False
    user_fits = match["user"] is None or _USER.fullmatch(match["user"]) is not None
    port = match["port"]
    return user_fits and (port is None or (port.isdecimal() and 0 < int(port) < 1 << 16))
