"""One command over one SSH channel, its input and both its outputs at the same time."""

import contextlib
import threading
import time
from dataclasses import dataclass, field
from functools import partial

from paramiko import Channel, SSHException, Transport

from harness.hosts.connection import Done
from harness.hosts.deadline import Deadline

PIECE = 1 << 16
NEXT_TRY_S = 0.1
SILENCE_S = 5.0


class Lost(Exception):  # noqa: N818 - the name says it
    """The connection ended under the command; `started`: it may have run."""

    def __init__(self, *, started: bool) -> None:
        super().__init__()
        self.started = started


class NoSession(Exception):  # noqa: N818 - the name says it
    """The host opened no session until the deadline, though the connection stands."""


@dataclass
class Command:
    """A command to be run once."""

    transport: Transport
    line: bytes  # for the login shell of the user there, every word quoted
    stdin: bytes
    channel: Channel | None = None
    started: bool = False
    errors: list[bytes] = field(default_factory=list)

    def run(self, deadline: Deadline) -> Done:
        """Run it to its end. It may block; the caller bounds it, and ends it with `abandon`.

        Raises:
            Lost: the connection ended.
            NoSession: the host opens no further session, and did not until the deadline.
        """
        try:
            self.channel = channel = open_session(self.transport, deadline)
            self.started = True
            channel.exec_command(self.line)
            output = self._talk(channel)
            status = channel.recv_exit_status()
        except (SSHException, OSError, EOFError) as error:
            raise Lost(started=self.started) from error
        if status < 0 and not _answers(self.transport, deadline):
            raise Lost(started=True)
        channel.close()
        return Done(status, output.decode(errors="replace"), b"".join(self.errors).decode(errors="replace"))

    def abandon(self) -> None:
        """Close the channel; what runs there loses its input and output, and may live on."""
        if self.channel is not None:
            with contextlib.suppress(SSHException, OSError, EOFError):
                self.channel.close()

    def _talk(self, channel: Channel) -> bytes:
        others = [partial(self._feed, channel), partial(self._collect, channel)]
        threads = [threading.Thread(target=work, daemon=True) for work in others]
        for thread in threads:
            thread.start()
        output = b"".join(iter(partial(channel.recv, PIECE), b""))
        threads[1].join()
        return output

    def _feed(self, channel: Channel) -> None:
        """A command that ends before it has read everything is no error."""
        with contextlib.suppress(SSHException, OSError, EOFError):
            if self.stdin:
                channel.sendall(self.stdin)
            channel.shutdown_write()

    def _collect(self, channel: Channel) -> None:
        self.errors.extend(iter(partial(channel.recv_stderr, PIECE), b""))


def open_session(transport: Transport, deadline: Deadline) -> Channel:
    """A session of a connection; a host that has as many as it allows (MaxSessions) is asked again.

    Raises:
        NoSession: it still had when the deadline came.
        SSHException: the connection ended.
    """
    while True:
        try:
            # No answer at all is for the caller's own deadline to see, so that it is not taken for a refusal.
            return transport.open_session(timeout=deadline.left_s + SILENCE_S)
        except SSHException as error:
            # Refused; of threads that are refused at once, paramiko tells only one by a ChannelException.
            if not transport.is_active():
                raise
            if deadline.left_s <= NEXT_TRY_S:
                raise NoSession(str(error)) from error
            time.sleep(NEXT_TRY_S)


def _answers(transport: Transport, deadline: Deadline) -> bool:
    """Whether a connection still stands: asked, since a command without an exit status was killed or cut off."""
    try:
        open_session(transport, deadline).close()
    except NoSession:
        return True
    except (SSHException, OSError, EOFError):
        return False
    return True
