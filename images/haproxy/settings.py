"""`config.json` of the balancer, read and checked. What is checked here ends up in HAProxy's own configuration."""

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

FORMAT: Final = 1
_MOST_CONNECTIONS: Final = 1_000_000
_LONGEST_S: Final = 86_400.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_PATH: Final = re.compile(r"/[!#-&(-\[\]-~]*")  # printable, without a space and what HAProxy's own quoting would end at
_CHOICES: Final = {
    "mode": ("tcp", "http"),
    "algorithm": ("roundrobin", "leastconn", "random"),
    "check": ("tcp", "http", "off"),
}


class SettingsError(Exception):
    """The configuration is wrong: what, in one line."""


class Address(NamedTuple):
    """A server behind it."""

    name: str
    host: str
    port: int


class Settings(NamedTuple):
    """Everything that it is told."""

    mode: str
    host: str
    port: int
    backlog: int
    servers: tuple[Address, ...]
    algorithm: str
    check: str
    check_path: str
    check_interval_s: float
    fall: int
    rise: int
    connections: int
    server_connections: int | None
    keep_alive: bool
    timeout_s: float
    threads: int


def read(path: Path) -> Settings:
    """Read and check a configuration.

    Raises:
        SettingsError: it is not there, not JSON, or not what the contract says.
    """
    try:
        fields = json.loads(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; give the folder that holds config.json") from None
    except ValueError as error:
        raise SettingsError(f"{path}: not JSON: {error}") from None
    try:
        return _checked(fields)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def _checked(fields: object) -> Settings:
    keys = {"format", *Settings._fields}
    if not isinstance(fields, dict) or fields.keys() != keys:
        raise SettingsError(f"it must be an object with exactly {', '.join(sorted(keys))}")
    if fields["format"] != FORMAT:
        raise SettingsError(f"format {fields['format']!r} is not known here; this balancer reads {FORMAT}")
    for name, known in _CHOICES.items():
        if fields[name] not in known:
            raise SettingsError(f"{name} is {fields[name]!r}; it must be one of {', '.join(known)}")
    if not isinstance(fields["check_path"], str) or not _PATH.fullmatch(fields["check_path"]):
        raise SettingsError(f"check_path is {fields['check_path']!r}; it begins with a slash and is percent-encoded")
    if not isinstance(fields["keep_alive"], bool):
        raise SettingsError(f"keep_alive is {fields['keep_alive']!r}; it must be true or false")
    limited = fields["server_connections"] is not None
    return Settings(
        **{name: fields[name] for name in (*_CHOICES, "check_path", "keep_alive")},
        host=_ip(fields["host"]),
        port=_whole(fields, "port", 1, 65_535),
        backlog=_whole(fields, "backlog", 1, 1 << 31),
        servers=_servers(fields["servers"]),
        check_interval_s=_number(fields, "check_interval_s", 0.001, _LONGEST_S),
        fall=_whole(fields, "fall", 1, 1_000),
        rise=_whole(fields, "rise", 1, 1_000),
        connections=_whole(fields, "connections", 1, _MOST_CONNECTIONS),
        server_connections=_whole(fields, "server_connections", 1, _MOST_CONNECTIONS) if limited else None,
        timeout_s=_number(fields, "timeout_s", 0.001, _LONGEST_S),
        threads=_whole(fields, "threads", 1, 64),
    )


def _servers(given: object) -> tuple[Address, ...]:
    if not isinstance(given, list) or not given:
        raise SettingsError("servers must be a list of at least one object")
    found = []
    for server in given:
        if not isinstance(server, dict) or server.keys() != set(Address._fields):
            raise SettingsError(f"each of servers must be an object with exactly {', '.join(Address._fields)}")
        if not isinstance(server["name"], str) or not _NAME.fullmatch(server["name"]):
            raise SettingsError(f"a server's name is {server['name']!r}; letters, digits, dots and dashes make a name")
        found.append(Address(server["name"], _ip(server["host"]), _whole(server, "port", 1, 65_535)))
    if len({server.name for server in found}) < len(found):
        raise SettingsError("two of servers have the same name")
    return tuple(found)


def _ip(given: object) -> str:
    try:
        return str(ipaddress.ip_address(given if isinstance(given, str) else ""))
    except ValueError:
        raise SettingsError(f"host is {given!r}; it must be an IP address") from None


def _whole(fields: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = fields[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise SettingsError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
    return value


def _number(fields: Mapping[str, Any], name: str, low: float, high: float) -> float:
    value = fields[name]
    right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not right or not low <= value <= high:
        raise SettingsError(f"{name} is {value!r}; it must be a number from {low} to {high}")
    return float(value)
