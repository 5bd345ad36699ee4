"""Opening an SSH connection: every hop with its host key checked, all of it by one deadline."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from paramiko import PKey, SSHException, Transport

from harness.errors import HostError
from harness.hosts.deadline import Deadline, Late, by
from harness.hosts.ssh.refusals import refusal
from harness.hosts.ssh.way import Hop, Way, hops_of

CONNECT_S = 10.0
"""From nothing to a host that has taken our key, all jump hosts included."""

RSA = ("rsa-sha2-512", "rsa-sha2-256")
"""How the key type `ssh-rsa` is signed with today."""

KEEPALIVE_S = 5
DEAD_PEER_MS = 15_000
"""After so long without an acknowledgement the kernel gives a connection up: keep-alives alone would never see that."""


@dataclass
class Link:
    """The open connections of a way."""

    hops: list[Hop]

    @property
    def transport(self) -> Transport:
        """Of the host itself."""
        transport: Transport = self.hops[-1].connection.transport
        return transport

    @property
    def user(self) -> str:
        """Who we are on the host."""
        return str(self.hops[-1].connection.user)

    @property
    def alive(self) -> bool:
        """Whether every hop still stands, as far as is known."""
        transports = [hop.connection.transport for hop in self.hops]
        return all(transport is not None and transport.is_active() for transport in transports)

    def close(self) -> None:
        """Let go of every hop, the host's own first."""
        for hop in reversed(self.hops):
            with suppress(
                SSHException, OSError, EOFError
            ):  # a channel through a jump host says good-bye on what has ended
                hop.connection.client.close()


@dataclass
class _Attempt:
    """One try to open a way; says where it stands."""

    link: Link
    deadline: Deadline
    hop: Hop
    stage: str = "connecting"
    sockets: list[socket.socket] = field(default_factory=list)

    def open(self) -> Link:
        """Every hop, one after the other."""
        for hop in self.link.hops:
            self.hop, self.stage = hop, "connecting"
            self._bound()
            if not hop.connection.gateway:
                hop.connection.connect_kwargs["sock"] = self._connect()
            self.stage = "greeting"
            hop.connection.open()
            hop.connection.transport.set_keepalive(KEEPALIVE_S)
        return self.link

    def ask(self, hop: Hop, known: Sequence[str]) -> PKey:
        """Which key the next hop shows."""
        self.hop, self.stage = hop, "connecting"
        self._bound()
        sock = hop.connection.open_gateway() if hop.connection.gateway else self._connect()
        self.stage = "greeting"
        transport = Transport(sock)
        transport.banner_timeout = self.deadline.left_s
        options = transport.get_security_options()
        first = [
            kind
            for kind in options.key_types
            if any(kind in RSA if name == "ssh-rsa" else kind == name for name in known)
        ]
        options.key_types = [*first, *(kind for kind in options.key_types if kind not in first)]
        try:
            transport.start_client(timeout=max(self.deadline.left_s, 0.1))
            return transport.get_remote_server_key()
        finally:
            transport.close()

    def _bound(self) -> None:
        """No step of paramiko's outlasts the deadline by much; its own time-outs are minutes, or an hour."""
        left_s = max(self.deadline.left_s, 0.1)
        self.hop.connection.connect_timeout = left_s
        bounds = dict.fromkeys(("banner_timeout", "auth_timeout", "channel_timeout"), left_s)
        self.hop.connection.connect_kwargs |= bounds

    def _connect(self) -> socket.socket:
        place = (str(self.hop.connection.host), int(self.hop.connection.port))
        connected = socket.create_connection(place, max(self.deadline.left_s, 0.1))
        self.sockets.append(connected)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
        return connected

    def give_up(self) -> None:
        """Take away what may still be waited for."""
        self.link.close()
        for connected in self.sockets:
            connected.close()


def open_way(way: Way, deadline: Deadline) -> Link:
    """Connect to a host.

    Args:
        way: to it.
        deadline: of the caller; connecting takes CONNECT_S at the most in any case.

    Raises:
        HostError: in one line, why not, and what to do.
    """
    attempt = _attempt(way, deadline)
    with _told(way, attempt):
        return by(attempt.deadline, attempt.open, late=Link.close)


def fetch_key(way: Way, level: int, known: Sequence[str], deadline: Deadline) -> PKey:
    """The host key that a hop of the way shows, whoever it is; nothing of ours is sent to it.

    Args:
        way: to a host.
        level: which hop, from 0; those before it are opened as ever, their keys checked.
        known: types of the keys that are known of it: asked for first.
        deadline: of the caller; it takes CONNECT_S at the most in any case.

    Raises:
        HostError: in one line, why not, and what to do.
    """
    attempt = _attempt(way, deadline)
    before, hop = attempt.link.hops[:level], attempt.link.hops[level]
    attempt.link = Link(before)

    def fetch() -> PKey:
        attempt.open()
        key = attempt.ask(hop, known)
        attempt.give_up()
        return key

    with _told(way, attempt):
        return by(attempt.deadline, fetch)


def _attempt(way: Way, deadline: Deadline) -> _Attempt:
    hops = hops_of(way)
    return _Attempt(Link(hops), deadline.within(CONNECT_S), hops[0])


@contextmanager
def _told(way: Way, attempt: _Attempt) -> Iterator[None]:
    """What goes wrong lets go of everything, and becomes a line."""
    try:
        yield
    except (Late, OSError, SSHException, EOFError) as error:
        attempt.give_up()
        raise HostError(refusal(error, way, attempt.hop, attempt.stage)) from error
