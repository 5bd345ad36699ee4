"""httpd's own configuration, from what the server is told. Pure."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from common.config import ConfigError, ServerConfig
from common.keeper import UNSET

STATUS_PATH: Final = "/-/status"
_MODULES: Final = ("authz_core", "authz_host", "alias", "headers", "setenvif", "status")
_DEBIANS: Final = "/etc/apache2/mods-available"
_LARGEST_BODY_BYTES: Final = 64 << 20  # the contract's
_LONGEST_LINE_BYTES: Final = 65_536

_PREFORK: Final = frozenset({"prefork"})
_THREADED: Final = frozenset({"worker", "event"})
_ANY: Final = _PREFORK | _THREADED


class _Key(NamedTuple):
    directive: str
    mpms: frozenset[str]


_KEYS: Final[Mapping[str, _Key]] = {
    "start_servers": _Key("StartServers", _ANY),
    "min_spare_servers": _Key("MinSpareServers", _PREFORK),
    "max_spare_servers": _Key("MaxSpareServers", _PREFORK),
    "server_limit": _Key("ServerLimit", _ANY),
    "thread_limit": _Key("ThreadLimit", _THREADED),
    "threads_per_child": _Key("ThreadsPerChild", _THREADED),
    "min_spare_threads": _Key("MinSpareThreads", _THREADED),
    "max_spare_threads": _Key("MaxSpareThreads", _THREADED),
    "max_request_workers": _Key("MaxRequestWorkers", _ANY),
    "max_connections_per_child": _Key("MaxConnectionsPerChild", _ANY),
    "listen_backlog": _Key("ListenBacklog", _ANY),
    "keep_alive_timeout": _Key("KeepAliveTimeout", _ANY),
    "max_keep_alive_requests": _Key("MaxKeepAliveRequests", _ANY),
    "timeout": _Key("Timeout", _ANY),
}
"""Option: httpd's name of it, and the MPMs that know it."""


class Paths(NamedTuple):
    """Where its files are."""

    own: Path  # folder of what it needs while it runs
    body: Path
    dummies: Path  # a line for each request that httpd sent to itself


def configuration(config: ServerConfig, paths: Paths) -> str:
    """The text of `httpd.conf`.

    With `defaults: upstream` it says nothing of how many processes and threads there are, so that what was compiled in
    holds; with `distribution` Debian's file for the MPM is included. Options that are set come after either.

    Raises:
        ConfigError: an option that the MPM does not know is set.
    """
    return "\n".join((*_server(config, paths), *_amounts(config), *_answers(paths), ""))


def _server(config: ServerConfig, paths: Paths) -> Iterator[str]:
    host = f"[{config.host}]" if ":" in config.host else config.host
    options = config.options
    yield "ServerRoot /usr/lib/apache2"
    yield "ServerName localhost"
    yield f"LoadModule mpm_{options['mpm']}_module modules/mod_mpm_{options['mpm']}.so"
    yield from (f"LoadModule {name}_module modules/mod_{name}.so" for name in _MODULES)
    yield f"DefaultRuntimeDir {paths.own}"
    yield f"PidFile {paths.own}/pid"
    yield "ErrorLog /proc/self/fd/2"
    yield "LogLevel warn"
    yield "User www-data"
    yield "Group www-data"
    yield f"Listen {host}:{config.port}"
    yield f"ListenBacklog {config.backlog}"
    yield f"AcceptFilter http {options['accept_filter']}"


def _amounts(config: ServerConfig) -> Iterator[str]:
    mpm, options = config.options["mpm"], config.options
    if options["defaults"] == "distribution":
        yield f"Include {_DEBIANS}/mpm_{mpm}.conf"
    for name, key in _KEYS.items():
        if options[name] == UNSET:
            continue
        if mpm not in key.mpms:
            raise ConfigError(f"options.{name}: {key.directive} is nothing that mpm {mpm} knows; leave it at {UNSET}")
        yield f"{key.directive} {options[name]}"


def _answers(paths: Paths) -> Iterator[str]:
    """The same file for every path, with the fields that every model's answer has."""
    yield f"LimitRequestBody {_LARGEST_BODY_BYTES}"
    yield f"LimitRequestLine {_LONGEST_LINE_BYTES}"
    yield f"LimitRequestFieldSize {_LONGEST_LINE_BYTES}"
    yield "HttpProtocolOptions Strict Require1.0"  # HTTP/0.9 has neither status nor fields
    yield "ServerTokens Prod"
    yield "FileETag None"
    yield f"DocumentRoot {paths.own}"
    yield f'AliasMatch "^(?!{STATUS_PATH}$)" {paths.body}'
    yield f"<Directory {paths.own}>"
    yield "    Require all granted"
    yield "    Options None"
    yield "    AllowOverride None"
    yield "    ForceType application/octet-stream"
    yield "    Header unset Last-Modified"
    yield "    Header unset Accept-Ranges"
    yield "</Directory>"
    yield "ExtendedStatus On"
    yield f"<Location {STATUS_PATH}>"
    yield "    SetHandler server-status"
    yield "    Require local"
    yield "</Location>"
    # A prefork parent that ends an idle child wakes it by a request, which httpd counts like any other.
    yield 'SetEnvIf User-Agent "internal dummy connection" dummy'
    yield f'CustomLog {paths.dummies} "-" env=dummy'


def checked(config: ServerConfig) -> None:
    """See that every option is there, and of its type.

    Raises:
        ConfigError: one is not.
    """
    kinds: Mapping[str, Any] = {"mpm": str, "defaults": str, "accept_filter": str, **dict.fromkeys(_KEYS, int)}
    for name, kind in kinds.items():
        if type(config.options.get(name)) is not kind:
            raise ConfigError(f"options.{name} must be of type {kind.__name__}, see model.yaml")
    if config.options["mpm"] not in _ANY:
        raise ConfigError(f"options.mpm must be one of {', '.join(sorted(_ANY))}")
