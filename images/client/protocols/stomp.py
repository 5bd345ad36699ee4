"""STOMP 1.2, a broker's side of it that producers see: CONNECT, then SEND and its RECEIPT, DISCONNECT in the end.

A request is a SEND that asks for a receipt; its answer is the RECEIPT with that very id, which a broker gives when it
has taken the message over. As the protocol has it, the client closes after the receipt for its DISCONNECT.
"""

import itertools
from collections.abc import Iterator, Sequence

from client.books import outcome
from client.config import Config, Kind
from client.errors import CannotRunError
from client.protocols.base import Answer, MalformedError, RefusedError, UnexpectedError
from client.protocols.stomp_frames import Frame, FrameReader, escaped
from client.wire.target import Target

_OF_CONNECT = frozenset({"login", "passcode", "vhost"})
_SET_BY_CLIENT = frozenset({"destination", "receipt", "accept-version", "heart-beat", "transaction"})
_VERSION = b"1.2"


class StompExchange:
    """One kind of message: its frame up to the receipt's id, and from there on."""

    __slots__ = ("after", "before", "last_answer")

    def __init__(self, kind: Kind) -> None:
        headers = {name: value for name, value in kind.headers.items() if name.lower() not in _OF_CONNECT}
        lines = [b"SEND", b"destination:" + escaped(kind.path), b"content-length:%d" % kind.body_bytes]
        lines += [escaped(name) + b":" + escaped(value) for name, value in headers.items()]
        self.before = b"\n".join(lines) + b"\nreceipt:"
        self.after = b"\n\n" + b"x" * kind.body_bytes + b"\0"
        self.last_answer = b""

    def is_right(self, data: bytes) -> bool:  # noqa: ARG002
        """No two answers are alike, so each is parsed."""
        return False


class StompSession:
    """One connection's conversation with a broker."""

    __slots__ = ("_exchanges", "_greeting", "_reader", "_receipt", "_receipts")

    def __init__(self, exchanges: Sequence[StompExchange], greeting: bytes, receipts: Iterator[int]) -> None:
        self._exchanges = exchanges
        self._greeting = greeting
        self._receipts = receipts
        self._receipt = b""  # that is waited for
        self._reader = FrameReader()

    def greeting(self) -> bytes:
        """CONNECT."""
        return self._greeting

    def greeted(self, data: bytes) -> bool:
        """CONNECTED, in this version."""
        frames = self._reader.feed(data)
        if not frames:
            return False
        if frames[0].command == b"ERROR":
            raise RefusedError(f"the broker refuses the connection: {_told(frames[0])}")
        version = frames[0].headers.get(b"version", b"1.0")
        if frames[0].command != b"CONNECTED" or version != _VERSION or len(frames) > 1 or self._reader.begun:
            raise UnexpectedError(f"no CONNECTED of STOMP 1.2 but {frames[0].command.decode()}, version {version!r}")
        return True

    def encode(self, kind: int, last: bool) -> bytes:  # noqa: ARG002
        """SEND, with a receipt's id that no other request of the run has."""
        exchange = self._exchanges[kind]
        self._receipt = b"%d" % next(self._receipts)
        return exchange.before + self._receipt + exchange.after

    def parse(self, data: bytes) -> Answer | None:
        """Take the next bytes; the answer, once the RECEIPT that is waited for is whole."""
        frames = self._reader.feed(data)
        if not frames:
            return None
        frame = frames[0]
        if frame.command == b"ERROR":
            raise RefusedError(_told(frame))  # nothing may follow it, though some brokers keep the connection open
        if frame.command != b"RECEIPT" or frame.headers.get(b"receipt-id") != self._receipt:
            raise UnexpectedError(f"{frame.command.decode()} that nobody waits for")
        if len(frames) > 1 or self._reader.begun:
            raise MalformedError("bytes beyond the end of the receipt")
        return Answer(outcome.OK, reusable=True)

    def end(self) -> Answer | None:
        """A frame that has not ended is none."""
        return None

    def skips(self, data: bytes) -> bool:
        """Line ends between frames."""
        return not self._reader.begun and not data.strip(b"\r\n")

    def farewell(self) -> bytes:
        """DISCONNECT."""
        return b"DISCONNECT\nreceipt:%d\n\n\0" % next(self._receipts)

    def parted(self, data: bytes) -> bool:
        """The receipt for it, or an ERROR: the broker has done all that was asked of it before."""
        return bool(self._reader.feed(data))


class Stomp:
    """What all connections of a run say."""

    repeats = False

    def __init__(self, config: Config, target: Target, kinds: Sequence[Kind]) -> None:
        """Of a configuration.

        Raises:
            CannotRunError: it asks for what only HTTP has, or sends nowhere.
        """
        for kind in kinds:
            _check(kind)
        self.exchanges = tuple(StompExchange(kind) for kind in kinds)
        self._greeting = _connect_frame(config, target)
        self._receipts = itertools.count(1)

    def session(self) -> StompSession:
        """For a connection that is being opened."""
        return StompSession(self.exchanges, self._greeting, self._receipts)


def _check(kind: Kind) -> None:
    """Refuse what has no meaning here, rather than pass over it."""
    if not kind.path.strip("/"):
        raise CannotRunError("stomp: no destination; name it after the port, as in stomp://host:61613/queue/orders")
    if kind.method != "GET" or kind.expect_status is not None or kind.expect_body_bytes is not None:
        raise CannotRunError("stomp: methods, statuses and lengths of answers are HTTP's; leave them out")
    for name in kind.headers:
        if name.lower() in _SET_BY_CLIENT:
            raise CannotRunError(f"stomp: header `{name}` is set by the client itself; leave it out")


def _connect_frame(config: Config, target: Target) -> bytes:
    """CONNECT; its values are not escaped, so that brokers of any version read it."""
    given = {name.lower(): value for name, value in config.headers.items() if name.lower() in _OF_CONNECT}
    headers = {"accept-version": "1.2", "host": given.pop("vhost", target.host), "heart-beat": "0,0", **given}
    return ("CONNECT\n" + "".join(f"{name}:{value}\n" for name, value in headers.items()) + "\n\0").encode("ascii")


def _told(error: Frame) -> str:
    """What an ERROR frame says, in one line."""
    told = b": ".join(part for part in (error.headers.get(b"message", b""), error.body[:200]) if part)
    return " ".join(told.decode(errors="replace").split()) or "it does not say why"
