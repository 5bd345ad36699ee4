"""Accepts in flight: a few at a time, so that a burst of clients is taken in one turn.

Out of descriptors an accept fails at once, and would again and again: it rests until a timer completes, and the clients
wait in the kernel's queue.
"""

import ctypes
import errno
import socket
from collections.abc import Callable
from typing import Final

from common.scoreboard import ACCEPTS, Counts
from common.sockets import Listener
from proactor import operations
from proactor.ring import Ring
from proactor.tokens import ACCEPTED, NOBODY, RESTED, token_of

AT_ONCE: Final = 16
_REST: Final = operations.duration_of(0.1)
_OUT_OF_RESOURCES: Final = frozenset({-errno.EMFILE, -errno.ENFILE, -errno.ENOBUFS, -errno.ENOMEM})
_ROOM_BYTES: Final = 28  # for a client's address (struct sockaddr_in6)
_PLACE_BYTES: Final = 4 + _ROOM_BYTES


class Accepting:
    """The accepts of one ring. Each has a place of its own for the client's address."""

    def __init__(self, ring: Ring, listener: Listener, counts: Counts, take: Callable[[int, str], None]) -> None:
        """Nothing is started yet.

        Args:
            ring: whose completions of the kinds `ACCEPTED` and `RESTED` come to the methods of that name.
            listener: a blocking one: io_uring does not wait where a caller would not.
            counts: of the ring's owner.
            take: given the descriptor and the client's address; from there on the connection is the taker's.
        """
        self._ring = ring
        self._listener = listener
        self._counts = counts
        self._take = take
        self._places = bytearray(AT_ONCE * _PLACE_BYTES)
        self._places_at = ctypes.addressof(ctypes.c_char.from_buffer(self._places))
        self._resting: list[int] = []
        self._stopping = False
        self.in_flight = 0

    def start(self) -> None:
        """Start them all."""
        for place in range(AT_ONCE):
            self._accept(place)

    def stop(self) -> None:
        """Cancel them all. When the last has completed, so that none is in flight, the socket is closed."""
        self._stopping = True
        self._close_if_idle()
        for place in range(AT_ONCE):
            self._ring.queue(operations.cancel(token_of(ACCEPTED, place), NOBODY))

    def accepted(self, place: int, result: int, _flags: int) -> None:
        """An accept has completed: with a connection, or failed; the client may have gone meanwhile (accept(2))."""
        self.in_flight -= 1
        if result >= 0:
            self._counts[ACCEPTS] += 1
            self._take(result, self._peer(place))
        if self._stopping:
            self._close_if_idle()
        elif result in _OUT_OF_RESOURCES:
            if not self._resting:
                self._ring.queue(operations.timer(_REST, token_of(RESTED)))
            self._resting.append(place)
        else:
            self._accept(place)

    def rested(self, _owner: int, _result: int, _flags: int) -> None:
        """The rest is over."""
        resting, self._resting = self._resting, []
        if not self._stopping:
            for place in resting:
                self._accept(place)

    def _close_if_idle(self) -> None:
        if not self.in_flight:
            self._listener.close()

    def _accept(self, place: int) -> None:
        self.in_flight += 1
        at = place * _PLACE_BYTES
        self._places[at : at + 4] = _ROOM_BYTES.to_bytes(4, "little")
        length = self._places_at + at
        self._ring.queue(operations.accept(self._listener.fileno(), length, length + 4, token_of(ACCEPTED, place)))

    def _peer(self, place: int) -> str:
        address = self._places[place * _PLACE_BYTES + 4 : (place + 1) * _PLACE_BYTES]
        if int.from_bytes(address[:2], "little") == socket.AF_INET:
            return socket.inet_ntop(socket.AF_INET, address[4:8])
        return socket.inet_ntop(socket.AF_INET6, address[8:24])
