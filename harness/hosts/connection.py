"""What the rest of the harness knows of a host that it reaches from afar; SSH itself is behind it (harness/hosts/ssh.py)."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from paramiko import Transport


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    status: int  # 127: there is no such command; -1: a signal ended it
    stdout: str
    stderr: str


@dataclass(frozen=True)
class ClockOffset:
    """How far a host's CLOCK_MONOTONIC is ahead of the controller's: host time = controller time + offset."""

    offset_ns: int = 0
    error_ns: int = 0  # it lies within offset ± error: half of the shortest round trip seen

    def on_host(self, controller_ns: int) -> int:
        """An instant of the controller's clock, on the host's."""
        return controller_ns + self.offset_ns

    def on_controller(self, host_ns: int) -> int:
        """An instant of the host's clock, on the controller's."""
        return host_ns - self.offset_ns


class Dialled(Protocol):
    """A connection from a host to somewhere else, for `http.client.HTTPConnection.sock` and its like."""

    def settimeout(self, timeout_s: float | None, /) -> None:
        """Bound every further read and write."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""

    def recv(self, most: int, /) -> bytes:
        """What has come, at most so much; nothing where the other side has ended."""

    def makefile(self, mode: str = "rb", /) -> io.BufferedReader:
        """A buffered reader of what comes in."""

    def close(self) -> None:
        """Close it, once its readers are closed."""


Dial = Callable[[str, int, float], Dialled]
"""Connects to a host and port, as some host sees them, within so many seconds; raises as `Connection.dial` does."""

CONTROLLERS_CLOCK = ClockOffset()
"""Of this machine: nothing to convert, and no doubt."""


class Connection(Protocol):
    """A host that is reached from afar. Safe to use from several threads; reconnects by itself where it was lost."""

    @property
    def name(self) -> str:
        """The host's name in the inventory."""

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", as_root: bool = False) -> Done:
        """Run a command and wait for its end; its words reach the program as they are, no shell interprets them.

        Args:
            argv: the command and its arguments.
            timeout_s: for all of it, connecting included.
            stdin: what it is given to read.
            as_root: through `sudo -n` where the user is not root.

        Raises:
            HostError: the host cannot be reached, refuses, or did not end the command in time; the host's name is in it.
        """

    def transport(self) -> "Transport":
        """The live SSH transport, connected anew where it was lost.

        Raises:
            HostError: the host cannot be reached.
        """

    def dial(self, host: str, port: int, *, timeout_s: float) -> Dialled:
        """Connect from that host to an address that it can reach.

        Args:
            host: as that host sees it.
            port: there.
            timeout_s: for connecting, and then for each read and write, until it is set anew.

        Raises:
            ConnectionRefusedError: nothing takes connections there.
            TimeoutError: no answer in time.
            HostError: the host itself cannot be reached, or forbids it.
        """

    def close(self) -> None:
        """Let go of it; what still runs there is not touched. The next use connects anew."""
