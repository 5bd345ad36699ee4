"""What a reactor's loop works with: connections, where they come from, and who answers for it."""

import select
import socket
from collections.abc import Iterator
from typing import Final, Protocol

from common.scoreboard import Counts

READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT
NOTHING: Final = 0  # epoll still reports that the client has reset the connection
ALL_SENT: Final = memoryview(b"")


class Conversation(Protocol):
    """What the loop needs of a `Session`; all is as there."""

    asking: bool

    @property
    def behind(self) -> bool:
        """Requests are waiting."""

    @property
    def closing(self) -> bool:
        """To be closed when all is sent."""

    @property
    def lingering(self) -> bool:
        """And only when the client has stopped sending."""

    def receive(self, data: bytes) -> bytes:
        """From what came in to what is to go out."""

    def resume(self, right: bool) -> bytes:
        """What was asked for is there."""


class Connection:
    """One connection: its socket, its conversation, and what the kernel has not taken yet."""

    __slots__ = ("ended", "session", "socket", "unsent", "watched")

    def __init__(self, connection: socket.socket, session: Conversation) -> None:
        self.socket = connection
        self.session = session
        self.unsent = ALL_SENT
        self.watched = READ
        self.ended = False  # we have said that nothing more comes, and read away what still does (lingering)


class Source(Protocol):
    """Where connections come from: a `Listener`, or an acceptor that hands them over."""

    def fileno(self) -> int:
        """Readable when connections wait."""

    def waiting(self, counts: Counts) -> Iterator[tuple[socket.socket, str]]:
        """The connections that wait, each with its client's address, and the loop's from now on."""

    def rest_left_s(self) -> float:
        """Seconds for which it wants to be left alone."""

    def close(self) -> None:
        """No more connections are wanted."""


class Elsewhere(Protocol):
    """Who makes the answers that the loop does not make itself, and calls `Reactor.resume` with each."""

    def ask(self, asker: Connection) -> None:
        """A connection's session is `asking`."""

    def ready(self, fd: int) -> None:
        """A descriptor has been reported that the loop does not know."""

    def left_s(self) -> float | None:
        """How long the loop may sleep; None: for ever."""

    def close(self) -> None:
        """Nobody will ask again."""
