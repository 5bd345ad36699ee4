"""Which request goes out next on a connection: of which kind, and whether it is the connection's last."""

from client.books.records import key_of
from client.protocols.base import Exchange
from client.wire.connection import Connection
from client.wire.mix import Series
from client.wire.shared import Shared


class Chooser(Connection):
    """A connection that knows what to ask. Where every request is the same, it is made once a connection."""

    __slots__ = ("_again", "_draws", "_exchange", "_key", "_kind", "_last", "_left", "_number", "_varies")

    def __init__(self, number: int, shared: Shared) -> None:
        super().__init__(number, shared)
        self._number = number
        self._kind = 0
        self._key = key_of(number)
        self._exchange: Exchange = shared.wire.exchanges[0]
        self._draws = shared.mix.series(number) if shared.mix else None  # of kinds
        self._left = 0  # requests that the connection is still to carry, where that is limited
        self._last = False  # the request that is out is the connection's last
        self._varies = shared.varies
        self._again = False

    @property
    def again(self) -> bool:
        """Whether the next request goes out at once after an answer, without asking anybody: a closed loop runs."""
        return self._again

    @again.setter
    def again(self, wanted: bool) -> None:
        self._again = wanted and not self._varies  # else there is something to choose first

    def _choose(self, draws: Series) -> None:
        """Choose the kind of the next request, before its connection is opened: if that fails, it fails for this kind."""
        kind = self._kind = draws.draw()
        self._exchange = self._shared.wire.exchanges[kind]
        self._key = key_of(self._number, kind=kind)

    def _encode_first(self) -> None:
        """Make the first request of a connection."""
        self._left = self._shared.requests_per_connection or 0
        self._encode()

    def _encode(self) -> None:
        """Make the request that goes out now."""
        if self._shared.requests_per_connection is not None:
            self._left -= 1
            self._last = self._left == 0
        self._request = self._session.encode(self._kind, self._last)
        self._request_length = len(self._request)
