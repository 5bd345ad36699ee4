"""A host by SSH: one connection, shared by all threads, that comes back by itself where it was lost."""

import shlex
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from paramiko import Channel, ChannelException, SSHException, Transport

from harness.errors import HostError
from harness.hosts.connection import Done
from harness.hosts.deadline import Deadline, Late, by
from harness.hosts.ssh.command import NEXT_TRY_S, SILENCE_S, Command, Lost, NoSession
from harness.hosts.ssh.dialled import DialledSocket
from harness.hosts.ssh.opening import CONNECT_S, Link, open_way
from harness.hosts.ssh.refusals import PROHIBITED
from harness.hosts.ssh.way import Way, hops_of
from harness.spec.inventory import Inventory, InventoryHost

ANSWER_S = 3.0
"""How long a connection has to show that it stands after something on it took too long."""


class SshConnection:
    """A host that is reached by SSH; see `harness.hosts.connection.Connection` for what it promises.

    Nothing is opened before it is needed. Host keys are those of `known_hosts`, and no others.
    """

    def __init__(
        self, name: str, host: InventoryHost, folder: Path, known_hosts: Path, *, inventory: str = "INVENTORY"
    ) -> None:
        """Know a host.

        Args:
            name: its name in the inventory.
            host: what the inventory says of it.
            folder: where the inventory lies: `key` is relative to it.
            known_hosts: file of the trusted host keys.
            inventory: how a person names the inventory in a command, for messages.
        """
        self.way = Way(name, host, folder, known_hosts, inventory)
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._failures = 0
        self._failure = ""
        self._proving: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The host's name in the inventory."""
        return self.way.name

    @property
    def address(self) -> str:
        """Where SSH reaches it, after `~/.ssh/config`: a name or an IP address.

        Raises:
            HostError: that file cannot be read.
        """
        return str(hops_of(self.way)[-1].connection.host)

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", as_root: bool = False) -> Done:
        """Run a command and wait for its end; its words reach the program as they are.

        SSH has a line for the login shell of the user there, a POSIX one: every word of it is quoted. A command that has
        not ended in time loses its input and output, and may live on, as SSH cannot end it. Status 127: there is no such
        command; -1: a signal ended it.

        Args:
            argv: the command and its arguments.
            timeout_s: for all of it, connecting included.
            stdin: what it is given to read.
            as_root: through `sudo -n` where the user is not root.

        Raises:
            HostError: the host cannot be reached, refuses, was lost, or did not end the command in time.
        """
        deadline = Deadline.after(timeout_s)
        if not argv or "\0" in "".join(argv):
            raise HostError(f"{self.name}: `{_shown(argv)}` cannot be a command: it is empty, or holds a NUL")
        for _ in range(2):
            link = self._live(deadline)
            words = ("sudo", "-n", "--", *argv) if as_root and link.user != "root" else argv
            command = Command(link.transport, shlex.join(words).encode(errors="surrogateescape"), stdin)
            try:
                return by(deadline, partial(command.run, deadline))
            except Late as error:
                self._doubt(link, command)
                what = f"`{_shown(argv)}` did not end within {timeout_s:g} s; it may still run there"
                raise HostError(f"{self.name}: {what}") from error
            except NoSession as error:
                what = f"it opens no session for `{_shown(argv)}` ({error}); raise MaxSessions in its sshd_config"
                raise HostError(f"{self.name}: {what}") from error
            except Lost as error:
                if error.started:
                    what = f"the connection was lost while `{_shown(argv)}` ran; it may have run, or run still"
                    raise HostError(f"{self.name}: {what}") from error
        raise HostError(f"{self.name}: the connection is lost as soon as it stands; see sshd's log there")

    def dial(self, host: str, port: int, *, timeout_s: float) -> DialledSocket:
        """Connect from that host to an address that it can reach.

        Args:
            host: as that host sees it.
            port: there.
            timeout_s: for connecting, and then for each read and write, until it is set anew.

        Raises:
            ConnectionRefusedError: nothing takes connections there (or the host cannot reach it).
            TimeoutError: no answer in time.
            HostError: the host itself cannot be reached, or forbids it.
        """
        deadline = Deadline.after(timeout_s)
        for _ in range(2):
            link = self._live(deadline)
            try:
                return DialledSocket(by(deadline, partial(_dial, link.transport, host, port, deadline)), timeout_s)
            except Late as error:
                self._doubt(link)
                raise TimeoutError(f"{self.name}: no answer from {host} port {port} within {timeout_s:g} s") from error
            except ChannelException as error:
                if error.code != PROHIBITED:
                    raise ConnectionRefusedError(
                        f"{self.name}: cannot reach {host} port {port}: {error.text}"
                    ) from error
                what = f"sshd there forbids connections to {host} port {port}; see AllowTcpForwarding"
                raise HostError(f"{self.name}: {what} in its sshd_config") from error
            except (SSHException, OSError, EOFError):
                continue
        raise HostError(f"{self.name}: the connection is lost as soon as it stands; see sshd's log there")

    def transport(self) -> Transport:
        """The live SSH transport, connected anew where it was lost.

        Raises:
            HostError: the host cannot be reached.
        """
        return self._live(Deadline.after(CONNECT_S + ANSWER_S)).transport

    def close(self) -> None:
        """Let go of it; what still runs there is not touched. The next use connects anew."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _live(self, deadline: Deadline) -> Link:
        """The open connection; threads that wait for the same attempt share its outcome."""
        seen = self._failures
        if not self._lock.acquire(timeout=deadline.left_s):
            raise HostError(f"{self.name}: not connected in time; another part of this command is still trying to")
        try:
            return self._standing(deadline) or self._connect(deadline, seen)
        finally:
            self._lock.release()

    def _standing(self, deadline: Deadline) -> Link | None:
        if self._proving is not None:
            self._proving.join(min(deadline.left_s, ANSWER_S + 1))
        return self._link if self._link is not None and self._link.alive else None

    def _connect(self, deadline: Deadline, seen: int) -> Link:
        if self._failures != seen:
            raise HostError(self._failure)
        self.close()
        try:
            self._link = link = open_way(self.way, deadline)
        except HostError as error:
            self._failures, self._failure = self._failures + 1, str(error)
            raise
        return link

    def _doubt(self, link: Link, command: Command | None = None) -> None:
        """Find out, beside the caller, whether a connection still stands; whoever needs it next waits for the answer."""

        def prove() -> None:
            if command is not None:
                command.abandon()
            link.transport.open_session(timeout=ANSWER_S + SILENCE_S).close()

        def judge() -> None:
            try:
                by(Deadline.after(ANSWER_S), prove)
            except Late:
                link.close()
            except (SSHException, OSError, EOFError):  # refused, which is an answer; or ended, which everybody sees
                return

        self._proving = threading.Thread(target=judge, daemon=True)
        self._proving.start()


def connect_all(inventory: Inventory, folder: Path, *, word: str = "INVENTORY") -> dict[str, SshConnection]:
    """A connection to every host, by name, in the inventory's order; each is opened when it is first used.

    Args:
        inventory: which hosts.
        folder: where its file lies.
        word: how a person names it in a command, for messages.
    """
    known_hosts = folder / Path(inventory.known_hosts).expanduser()
    return {
        name: SshConnection(name, host, folder, known_hosts, inventory=word) for name, host in inventory.hosts.items()
    }


def _dial(transport: Transport, host: str, port: int, deadline: Deadline) -> Channel:
    while True:
        try:
            return transport.open_channel(
                "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=deadline.left_s + SILENCE_S
            )
        except ChannelException:
            raise
        except SSHException:  # of threads that are refused at once, paramiko tells only one why
            if not transport.is_active() or deadline.left_s <= NEXT_TRY_S:
                raise
            time.sleep(NEXT_TRY_S)


def _shown(argv: Sequence[str], length: int = 80) -> str:
    """A command for a sentence, on one line."""
    text = " ".join(shlex.join(argv).split())
    return text if len(text) <= length else f"{text[: length - 1]}…"
