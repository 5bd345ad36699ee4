"""From a file to a checked inventory, with every mistake at its line; and from a word to that file."""

import ipaddress
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from harness.errors import SpecError
from harness.spec.document import read_document
from harness.spec.explain import explain
from harness.spec.inventory import HostRole, Inventory, InventoryHost
from harness.spec.node import Node
from harness.spec.problems import Problems, did_you_mean, listed, shown

SSH_PORT = 22
MOST_CPUS = 8192  # more than Linux can have

_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_ADDRESS = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
_JUMP = re.compile(r"(?:(?P<user>[^@]*)@)?(?P<host>[^:@]+)(?::(?P<port>[^:]*))?")
_SPAN = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def load_inventory(path: Path) -> Inventory:
    """The hosts that a YAML file lists.

    Raises:
        SpecError: it is wrong; all problems at once, each `file:line: what; what to do`.
    """
    problems = Problems(str(path))
    root = read_document(path, problems, "an inventory")
    inventory = _read(root, problems)
    hosts = dict(_hosts(root))
    for name, (node, host) in hosts.items():
        _check_name(name, node, problems)
        if host is not None:
            _check_host(host, node, path.parent, problems)
    readable = {name: (node, host) for name, (node, host) in hosts.items() if host is not None}
    _check_places(readable, problems)
    if hosts and len(readable) == len(hosts):
        _check_roles(root, [host for _, host in readable.values()], problems)
    problems.raise_if_any()
    assert inventory is not None  # noqa: S101 - what is not read is a problem
    return inventory


def find_inventory(word: str, experiments: Path) -> Path:
    """The file that a person means by the name of an inventory, or by a path.

    Args:
        word: `NAME` for hosts/NAME.yaml of that folder; a path where it has a slash, or ends in `.yaml`.
        experiments: the folder of the specs.

    Raises:
        SpecError: there is no such inventory; the line lists those there are.
    """
    folder = experiments / "hosts"
    if "/" in word or word.endswith((".yaml", ".yml")):
        path = Path(word).expanduser()
        if path.is_file():
            return path
        raise SpecError([f"{word}: there is no such inventory; write a path, or a name: {_names(folder)}"])
    path = folder / f"{word}.yaml"
    if _HOST_NAME.fullmatch(word.lower()) and path.is_file():
        return path
    there = _names(folder)
    fix = did_you_mean(word, there, f"there are: {listed(there)}" if there else "write one: docs/hosts.md")
    raise SpecError([f"there is no inventory {shown(word)} in {folder.name}/ of the experiments; {fix}"])


def inventory_name(path: Path, experiments: Path) -> str:
    """How a person names an inventory in a command: by its name where that is enough, else by its path."""
    return path.stem if path.resolve().parent == (experiments / "hosts").resolve() else str(path)


def cpus(written: str) -> tuple[int, ...]:
    """`2-7,10` number by number, in order.

    Raises:
        ValueError: no such list; worded `what; what to do`.
    """
    found: set[int] = set()
    for span in written.split(","):
        match = _SPAN.fullmatch(span.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < MOST_CPUS:
            raise ValueError(f"{shown(written)} is no list of CPUs; write numbers and ranges, such as `2-7,10`")
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def _names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def _read(root: Node, problems: Problems) -> Inventory | None:
    try:
        return Inventory.model_validate_json(json.dumps(root.plain()))
    except ValidationError as error:
        explain(error.errors(), Inventory, root, problems)
    return None


def _hosts(root: Node) -> Iterator[tuple[str, tuple[Node, InventoryHost | None]]]:
    """Every host that is written, as far as it can be read: the others are checked all the same."""
    hosts = root.child("hosts")
    for name, node in hosts.value.items() if hosts is not None and isinstance(hosts.value, dict) else ():
        try:
            yield name, (node, InventoryHost.model_validate_json(json.dumps(node.plain())))
        except ValidationError:
            yield name, (node, None)


def _check_name(name: str, node: Node, problems: Problems) -> None:
    if not _HOST_NAME.fullmatch(name):
        fix = "write lower-case letters, digits, `-` and `.`, a letter or digit first, at most 63"
        problems.add(node.place, f"{shown(name)} is no host's name", fix)


def _check_host(host: InventoryHost, node: Node, folder: Path, problems: Problems) -> None:
    def note(key: str, what: str, fix: str) -> None:
        problems.add(node.reach((key,))[0].place, f"`{key}` is {what}", fix)

    if not _is_address(host.address):
        note(
            "address",
            f"{shown(host.address)}, no host's address",
            "write a name or an IP address; user and port have keys of their own",
        )
    if host.data is not None and not _is_ip(host.data):
        note("data", f"{shown(host.data)}, not an IP address", "write the IP address that the other hosts reach")
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
    if host.cores is not None:
        try:
            cpus(host.cores)
        except ValueError as error:
            what, _, fix = str(error).partition("; ")
            problems.add(node.reach(("cores",))[0].place, f"`cores`: {what}", fix)


def _check_places(hosts: dict[str, tuple[Node, InventoryHost]], problems: Problems) -> None:
    """Two names for one machine would share its cores, and nobody would know."""
    ssh: dict[object, str] = {}
    data: dict[object, str] = {}
    for name, (node, host) in hosts.items():
        key = (host.address.lower(), host.port or SSH_PORT, host.jump)
        if (first := ssh.setdefault(key, name)) != name:
            what = f"`{name}` has the address and port of `{first}`"
            problems.add(node.reach(("address",))[0].place, what, "list a host once, with all its roles")
        if host.data is not None and (first := data.setdefault(host.data, name)) != name:
            what = f"`{name}` has the `data` address of `{first}`"
            problems.add(node.reach(("data",))[0].place, what, "each host has its own")


def _check_roles(root: Node, hosts: list[InventoryHost], problems: Problems) -> None:
    for role in get_args(HostRole)[:2]:
        if not any(role in host.roles for host in hosts):
            problems.add(
                root.reach(("hosts",))[0].place, f"no host has the role `{role}`", f"add `{role}` to the `roles` of one"
            )


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    return _is_ip(text) or bool(_ADDRESS.fullmatch(text) and ".." not in text and not _almost_ip(text))


def _almost_ip(text: str) -> bool:
    """Four numbers that are no IP address, such as 10.0.0.300: no name either."""
    return bool(re.fullmatch(r"[\d.]+", text)) and not _is_ip(text)


def _is_jump(text: str) -> bool:
    match = _JUMP.fullmatch(text)
    if match is None or not _is_address(match["host"]):
        return False
    user_fits = match["user"] is None or _USER.fullmatch(match["user"]) is not None
    port = match["port"]
    return user_fits and (port is None or (port.isdecimal() and 0 < int(port) < 1 << 16))
