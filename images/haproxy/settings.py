"""`config.json` of the balancer, read and checked. What is checked here ends up in HAProxy's own configuration."""

import ipaddress
import re
from pathlib import Path
from typing import Final, NamedTuple

from common.config import ConfigError, exactly, integer, number, read_checked

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
        ConfigError: it is not there, not JSON, or not what the contract says.
    """
    return read_checked(path, _checked)


def _checked(data: object) -> Settings:
    fields = exactly(data, Settings._fields, FORMAT, "balancer")
    for name, known in _CHOICES.items():
        if fields[name] not in known:
            raise ConfigError(f"{name} is {fields[name]!r}; it must be one of {', '.join(known)}")
    if not isinstance(fields["check_path"], str) or not _PATH.fullmatch(fields["check_path"]):
        raise ConfigError(f"check_path is {fields['check_path']!r}; it begins with a slash and is percent-encoded")
    if not isinstance(fields["keep_alive"], bool):
        raise ConfigError(f"keep_alive is {fields['keep_alive']!r}; it must be true or false")
    limited = fields["server_connections"] is not None
    return Settings(
        **{name: fields[name] for name in (*_CHOICES, "check_path", "keep_alive")},
        host=_ip(fields["host"]),
        port=integer(fields, "port", 1, 65_535),
        backlog=integer(fields, "backlog", 1, 1 << 31),
        servers=_servers(fields["servers"]),
        check_interval_s=number(fields, "check_interval_s", 0.001, _LONGEST_S),
        fall=integer(fields, "fall", 1, 1_000),
        rise=integer(fields, "rise", 1, 1_000),
        connections=integer(fields, "connections", 1, _MOST_CONNECTIONS),
        server_connections=integer(fields, "server_connections", 1, _MOST_CONNECTIONS) if limited else None,
        timeout_s=number(fields, "timeout_s", 0.001, _LONGEST_S),
        threads=integer(fields, "threads", 1, 64),
    )


def _servers(given: object) -> tuple[Address, ...]:
    if not isinstance(given, list) or not given:
        raise ConfigError("servers must be a list of at least one object")
    found = []
    for server in given:
        if not isinstance(server, dict) or server.keys() != set(Address._fields):
            raise ConfigError(f"each of servers must be an object with exactly {', '.join(Address._fields)}")
        if not isinstance(server["name"], str) or not _NAME.fullmatch(server["name"]):
            raise ConfigError(f"a server's name is {server['name']!r}; letters, digits, dots and dashes make a name")
        found.append(Address(server["name"], _ip(server["host"]), integer(server, "port", 1, 65_535)))
    if len({server.name for server in found}) < len(found):
        raise ConfigError("two of servers have the same name")
    return tuple(found)


def _ip(given: object) -> str:
    try:
        return str(ipaddress.ip_address(given if isinstance(given, str) else ""))
    except ValueError:
        raise ConfigError(f"host is {given!r}; it must be an IP address") from None
