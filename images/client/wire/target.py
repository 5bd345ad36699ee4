"""Whom the load goes to."""

import os
import socket
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from client.errors import CannotRunError
from client.protocols.base import ProtocolError, Session
from client.wire.tls import Tls

Address = tuple[socket.AddressFamily, Any]  # family, and what socket.connect takes for it

_CONNECT_DEADLINE_S = 5.0
_READ_BYTES = 16_384
_PORTS = {"http": 80, "https": 443, "stomp": 61613}


@dataclass(frozen=True)
class Target:
    """A URL, taken apart."""

    host: str
    port: int
    path: str  # with the query; of a broker the destination
    scheme: str = "http"
    family: socket.AddressFamily = socket.AF_UNSPEC  # of the addresses that are looked at

    @classmethod
    def of(cls, url: str, family: socket.AddressFamily = socket.AF_UNSPEC) -> "Target":
        """Take a URL apart; of its host, only addresses of this family are looked at.

        Raises:
            CannotRunError: no URL of a protocol that is spoken here, with a path that can be sent as it stands.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise CannotRunError(f"url {url!r}: {error}") from error
        if parts.scheme not in _PORTS or not host or parts.username is not None:
            raise CannotRunError(f"url {url!r}: must look like http://host:port/path, or stomp://host:port/destination")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.isascii() or not path.isprintable() or " " in path:
            raise CannotRunError(f"url {url!r}: percent-encode the path; it goes over the wire as it stands")
        return cls(host, port, path, parts.scheme, family)

    def at(self, server: str) -> "Target":
        """The same of another server.

        Args:
            server: its host and port, as in `10.0.0.1:8080`.

        Raises:
            CannotRunError: its port is none.
        """
        try:
            parts = urlsplit(f"//{server}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise CannotRunError(f"servers: {server!r}: {error}") from error
        if not host or not port:
            raise CannotRunError(f"servers: {server!r}: must be a host and a port, such as 10.0.0.1:8080")
        return replace(self, host=host, port=port)

    @property
    def encrypted(self) -> bool:
        """Whether it is reached over TLS."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """Host and port as they stand in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

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

    def reach(self, tls: Tls | None, session: Session) -> Address:
        """The first address that accepts a connection, and proves who it is; it is closed again with nothing asked.

        Args:
            tls: how it proves that; none: it does not.
            session: what is said on that connection, if the protocol says anything before the first request.

        Raises:
            CannotRunError: none of them does, its certificate is not trusted, or it refuses the greeting.
        """
        refusal = ""
        for family, address in self.addresses():
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(_CONNECT_DEADLINE_S)
                try:
                    probe.connect(address)
                except ConnectionResetError:  # taken, and dropped: a server that does so is still one to load
                    return family, address
                except OSError as error:
                    refusal = f"{address[0]}: {error.strerror or error}"
                    continue
                if tls is not None:
                    tls.meet(probe, self.authority)
                else:
                    _greet(probe, session, self.authority)
                return family, address
        raise nothing_listens(self, refusal)


def _greet(connected: socket.socket, session: Session, authority: str) -> None:
    """Say on a blocking socket what comes before the first request, and wait for the answer.

    Raises:
        CannotRunError: there is none, or a refusal.
    """
    greeting = session.greeting()
    if not greeting:
        return
    try:
        connected.sendall(greeting)
        while data := connected.recv(_READ_BYTES):
            if session.greeted(data):
                return
    except ProtocolError as error:
        raise CannotRunError(f"{authority}: {error}") from error
    except OSError as error:
        reason = str(error.strerror or error)
    else:
        reason = "it closed the connection"
    raise CannotRunError(
        f"{authority} does not answer a greeting ({reason}); does it speak this protocol at this port?"
    )


def nothing_listens(target: Target, reason: str) -> CannotRunError:
    """The error for a port at which no connection could be made."""
    return CannotRunError(f"nothing listens at {target.authority} ({reason}); start the server first, or check the URL")


def reason_of(number: int) -> str:
    """An errno in words."""
    return os.strerror(number) if number else "no answer"
