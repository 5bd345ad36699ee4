"""HAProxy's own configuration, from what the balancer is told. Pure."""

import math
from collections.abc import Iterator
from typing import Final

from haproxy.settings import Address, Settings

FRONT: Final = "front"
BACK: Final = "servers"

_IDLE_MS: Final = 86_400_000  # a kept connection may lie idle as long as its client likes
_SPREAD_MS: Final = 200  # of the first checks: all are known to be well soon, and later checks do not fall together
# A client that has closed waits for nothing more. Without this each request that a frozen server let time out would keep its
# place among those that HAProxy may hold, until all are taken and nobody is served by the other servers either.
_PARTED_MS: Final = 1
_OWN_FILES: Final = 128  # beside two a connection: listeners, checks, the loop's own


def open_files(settings: Settings) -> int:
    """Descriptors that HAProxy needs: two a connection, and its own."""
    return 2 * settings.connections + 2 * len(settings.servers) + _OWN_FILES


def configuration(settings: Settings, admin: str, journal: str) -> str:
    """The text of `haproxy.cfg`.

    Args:
        settings: what it is told.
        admin: path of the socket at which it is asked for its statistics.
        journal: path of the socket to which it reports servers that it takes for down, or up again.
    """
    return "\n".join(
        (*_global(settings, admin, journal), *_defaults(settings), *_front(settings), *_back(settings), "")
    )


def _global(settings: Settings, admin: str, journal: str) -> Iterator[str]:
    yield "global"
    yield f"    nbthread {settings.threads}"
    yield f"    maxconn {settings.connections}"
    yield f"    stats socket {admin} mode 600 level admin"
    yield f"    log {journal} len 1024 format raw local0 notice"
    yield f"    max-spread-checks {min(_SPREAD_MS, _ms(settings.check_interval_s))}ms"
    yield "    hard-stop-after 5s"


def _defaults(settings: Settings) -> Iterator[str]:
    """Nothing waits longer than a request may take. What lies idle is the client's to close."""
    request_ms = _ms(settings.timeout_s)
    yield "defaults"
    yield f"    mode {settings.mode}"
    yield f"    timeout connect {request_ms}ms"
    yield f"    timeout queue {request_ms}ms"
    yield f"    timeout client {_IDLE_MS}ms"
    if settings.mode == "tcp":
        yield f"    timeout server {_IDLE_MS}ms"
        yield f"    timeout server-fin {_PARTED_MS}ms"
        return
    yield f"    timeout server {request_ms}ms"
    yield f"    timeout http-request {request_ms}ms"
    yield f"    timeout http-keep-alive {_IDLE_MS}ms"
    yield "    option http-keep-alive" if settings.keep_alive else "    option http-server-close"
    yield "    option abortonclose"


def _front(settings: Settings) -> Iterator[str]:
    yield f"frontend {FRONT}"
    yield f"    bind {_address(settings.host, settings.port)} backlog {settings.backlog}"
    yield f"    maxconn {settings.connections}"
    yield f"    default_backend {BACK}"


def _back(settings: Settings) -> Iterator[str]:
    yield f"backend {BACK}"
    yield "    log global"
    yield f"    balance {settings.algorithm}"
    # Only a connect that failed is tried again, at once and at another server: no request is ever sent twice.
    yield "    retries 3"
    yield "    option redispatch 1"
    yield "    retry-on conn-failure" if settings.mode == "http" else ""
    yield "    http-reuse always" if settings.mode == "http" else ""
    if settings.check == "http":
        yield "    option httpchk"
        yield f"    http-check send meth GET uri '{settings.check_path}' ver HTTP/1.1 hdr Host {BACK}"
    if settings.check != "off":
        yield f"    timeout check {_ms(settings.check_interval_s)}ms"
    for server in settings.servers:
        yield f"    server {_server(server, settings)}"


def _server(server: Address, settings: Settings) -> str:
    words = [server.name, _address(server.host, server.port)]
    if settings.server_connections is not None:
        words.append(f"maxconn {settings.server_connections}")
    if settings.check != "off":
        words.append(f"check inter {_ms(settings.check_interval_s)}ms fall {settings.fall} rise {settings.rise}")
    return " ".join(words)


def _address(host: str, port: int) -> str:
    family = "ipv6@" if ":" in host else "ipv4@"
    return f"{family}{host}:{port}"


def _ms(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1e3))
