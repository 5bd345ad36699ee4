"""Whom the load goes to, and the bytes of the one request that is sent again and again."""

import os
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from client.config import Config
from client.errors import CannotRunError
from client.tls import Tls

Address = tuple[socket.AddressFamily, Any]  # family, and what socket.connect takes for it

_CONNECT_DEADLINE_S = 5.0
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """A URL, taken apart."""

    host: str
    port: int
    path: str  # with the query
    encrypted: bool = False  # https
    family: socket.AddressFamily = socket.AF_UNSPEC  # of the addresses that are looked at

    @classmethod
    def of(cls, url: str, family: socket.AddressFamily = socket.AF_UNSPEC) -> "Target":
        """Take a URL apart; of its host, only addresses of this family are looked at.

        Raises:
            CannotRunError: not an `http[s]://host[:port]/path` that can be sent as it stands.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise CannotRunError(f"url {url!r}: {error}") from error
        if parts.scheme not in _PORTS or not host or parts.username is not None:
            raise CannotRunError(f"url {url!r}: must look like http://host:port/path")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.isascii() or not path.isprintable() or " " in path:
            raise CannotRunError(f"url {url!r}: percent-encode the path; it goes over the wire as it stands")
        return cls(host, port, path, parts.scheme == "https", family)

    @property
    def authority(self) -> str:
        """Host and port as they stand in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.encrypted else "http"] else f"{host}:{self.port}"

    def addresses(self) -> list[Address]:
        """Every address of the host, in the resolver's order.

        Raises:
            CannotRunError: the name cannot be resolved.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, self.family, socket.SOCK_STREAM)
        except OSError as error:
            raise CannotRunError(f"cannot resolve {self.host!r}: {error.strerror}") from error
        return [(family, address) for family, _, _, _, address in found]

    def reach(self, tls: Tls | None = None) -> Address:
        """The first address that accepts a connection, and proves who it is; it is closed again with nothing asked.

        Raises:
            CannotRunError: none of them does, or its certificate is not trusted.
        """
        refusal = ""
        for family, address in self.addresses():
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(_CONNECT_DEADLINE_S)
                try:
                    probe.connect(address)
                except OSError as error:
                    refusal = f"{address[0]}: {error.strerror or error}"
                    continue
                if tls is not None:
                    tls.meet(probe, self.authority)
                return family, address
        raise nothing_listens(self, refusal)


def nothing_listens(target: Target, reason: str) -> CannotRunError:
    """The error for a port at which no connection could be made."""
    return CannotRunError(f"nothing listens at {target.authority} ({reason}); start the server first, or check the URL")


def reason_of(number: int) -> str:
    """An errno in words."""
    return os.strerror(number) if number else "no answer"


def request_bytes(config: Config, target: Target) -> bytes:
    """The whole request, head and body."""
    lines = [f"{config.method} {target.path} HTTP/1.1", f"Host: {target.authority}"]
    lines += [f"{name}: {value}" for name, value in config.headers.items()]
    if config.body_bytes or config.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {config.body_bytes}")
    if config.per_request:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + b"x" * config.body_bytes
