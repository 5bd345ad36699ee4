"""nginx's own configuration, from what the server is told. Pure."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from common.config import ConfigError, ServerConfig
from common.keeper import UNSET

STATUS_PATH: Final = "/status"
_LARGEST_BODY_BYTES: Final = 64 << 20  # the contract's
_KINDS: Final[Mapping[str, Any]] = {
    "workers": int,
    "worker_connections": int,
    "accept_mutex": bool,
    "reuseport": bool,
    "multi_accept": bool,
    "listen_backlog": int,
    "keepalive_timeout": int,
    "keepalive_requests": int,
}
_FOR_EVER: Final = 1_000_000_000  # nginx knows no "never" for requests on a connection
_LOGS: Final = {"buffered": " buffer=64k", "flush": ""}


class Paths(NamedTuple):
    """Where its files are."""

    own: Path  # folder of what it needs while it runs
    body: Path
    status: Path  # socket of its status page
    log: Path


def configuration(config: ServerConfig, paths: Paths) -> str:
    """The text of `nginx.conf`.

    Raises:
        ConfigError: an option is not there, or not of its type.
    """
    for name, kind in _KINDS.items():
        if type(config.options.get(name)) is not kind:
            raise ConfigError(f"options.{name} must be of type {kind.__name__}, see model.yaml")
    return "\n".join((*_processes(config, paths), *_events(config), *_http(config, paths), ""))


def _processes(config: ServerConfig, paths: Paths) -> Iterator[str]:
    yield "daemon off;"
    yield "user www-data;"
    yield f"pid {paths.own}/pid;"
    yield "error_log stderr warn;"
    yield f"worker_processes {config.options['workers']};"


def _events(config: ServerConfig) -> Iterator[str]:
    options = config.options
    yield "events {"
    yield "    use epoll;"
    yield f"    worker_connections {options['worker_connections']};"
    yield f"    accept_mutex {_switch(options['accept_mutex'])};"
    yield f"    multi_accept {_switch(options['multi_accept'])};"
    yield "}"


def _http(config: ServerConfig, paths: Paths) -> Iterator[str]:
    """The same file for every path and method, with the fields that every model's answer has."""
    options = config.options
    host = f"[{config.host}]" if ":" in config.host else config.host
    backlog = config.backlog if options["listen_backlog"] == UNSET else options["listen_backlog"]
    log = f"{paths.log} models{_LOGS[config.handler.log]}" if config.handler.log != "off" else "off"
    yield "http {"
    yield """    log_format models '$remote_addr - - [$time_local] "$request" $status $body_bytes_sent';"""
    yield f"    access_log {log};"
    yield "    server_tokens off;"
    yield "    etag off;"
    yield "    default_type application/octet-stream;"
    yield "    sendfile on;"
    yield "    tcp_nopush on;"
    yield "    open_file_cache max=8;"
    yield f"    client_max_body_size {_LARGEST_BODY_BYTES};"
    yield f"    client_body_temp_path {paths.own}/uploads;"
    yield "    large_client_header_buffers 4 64k;"
    if options["keepalive_timeout"] != UNSET:
        yield f"    keepalive_timeout {options['keepalive_timeout']}s;"
    if options["keepalive_requests"] != UNSET:
        yield f"    keepalive_requests {options['keepalive_requests'] or _FOR_EVER};"
    yield "    server {"
    yield f"        listen {host}:{config.port} backlog={backlog}{' reuseport' if options['reuseport'] else ''};"
    yield f"        root {paths.own};"
    yield "        max_ranges 0;"
    yield "        add_header Last-Modified '';"
    yield "        error_page 405 =200 /body;"  # what serves files knows GET and HEAD only
    yield "        location / { rewrite ^ /body break; }"
    yield "    }"
    yield "    server {"
    yield f"        listen unix:{paths.status};"
    yield f"        location = {STATUS_PATH} {{ stub_status; }}"
    yield "    }"
    yield "}"


def _switch(on: bool) -> str:
    return "on" if on else "off"
