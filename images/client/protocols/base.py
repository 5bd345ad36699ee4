"""All that the load client asks of a protocol: encode a request, parse its answer, say whether there can be a next one.

A protocol never sees a socket, a clock or the load. It is given the bytes of each read, however they are cut, and gives
bytes to send. The connection owns the descriptor, and one session beside it for as long as that socket lives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from client.books import outcome


class ProtocolError(ValueError):
    """The server said what ends the request, and the connection with it; the message says what.

    Attributes:
        ending: of the request under way, one of `client.outcome`.
    """

    ending = outcome.OTHER


class MalformedError(ProtocolError):
    """The bytes do not follow the protocol's grammar; the message says where they stop following it."""

    ending = outcome.MALFORMED


class RefusedError(ProtocolError):
    """The server answered, and with a no."""

    ending = outcome.STATUS


class UnexpectedError(ProtocolError):
    """The bytes follow the grammar, and are no answer to what was asked."""

    ending = outcome.WRONG


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer to the request that was out."""

    ending: int  # one of `client.outcome`: right, or in which way it is not
    reusable: bool  # the connection can take another request


class Exchange(Protocol):
    """One kind of request and what a right answer to it is; a run's connections share it.

    What it remembers of answers is of this kind alone: the right answer to one kind may be the wrong one to another.
    """

    last_answer: bytes
    """The last answer that `is_right` took: the same bytes again are the same answer. Empty where no two are alike."""

    def is_right(self, data: bytes) -> bool:
        """The hot path: whether one read is a whole, right answer that leaves the connection as good as it was.

        False only says that it needs a second look, by `Session.parse`.
        """


class Session(Protocol):
    """One connection's side of the conversation, from its first byte to its last. At most one request is out."""

    def greeting(self) -> bytes:
        """What is said before the first request; empty: nothing, and `greeted` is never asked."""

    def greeted(self, data: bytes) -> bool:
        """Take the next bytes after a greeting; whether the server has answered it.

        Raises:
            ProtocolError: it refuses, or does not speak the protocol.
        """

    def encode(self, kind: int, last: bool) -> bytes:
        """The bytes of a request.

        Args:
            kind: its number among the `exchanges`.
            last: no other follows on this connection.
        """

    def parse(self, data: bytes) -> Answer | None:
        """Take the next bytes while a request is out; the answer once it is whole.

        Raises:
            ProtocolError: this is no answer to it, or goes on beyond its end (nothing was asked for further).
        """

    def end(self) -> Answer | None:
        """The server has closed its side while a request is out; the answer, if that makes it whole."""

    def skips(self, data: bytes) -> bool:
        """Whether these bytes are no part of any answer and may come at any time, such as a heart-beat."""

    def farewell(self) -> bytes:
        """What is said after the last answer; empty: all is said, and the server closes."""

    def parted(self, data: bytes) -> bool:
        """Take the next bytes after the farewell; whether nothing more is to come and the connection may be closed."""


class Wire(Protocol):
    """A protocol as one run speaks it."""

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """Each kind of request, in the order of the configuration."""

    @property
    def repeats(self) -> bool:
        """Whether a kind's request is the same bytes every time, so that it is encoded once a connection."""

    def session(self) -> Session:
        """For a connection that is being opened."""
