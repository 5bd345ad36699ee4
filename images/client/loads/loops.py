"""The kinds of load: who gets the next request, and when.

Each is told by the slots when they are ready and launches requests on them; none touches a socket.
"""

from collections.abc import Sequence
from typing import Protocol

from client.wire.slot import Slot

NEVER_NS = 1 << 62


class Loop(Protocol):
    """A kind of load."""

    def ready(self, slot: Slot, since_ns: int) -> None:
        """A slot can take a request."""

    def begin(self, slots: Sequence[Slot], start_ns: int, end_ns: int) -> None:
        """Intend requests in [start, end), on these slots; some may be under way with their first request."""

    def stop(self) -> None:
        """The end has come: intend nothing further. What waits for a connection is still carried out."""

    def expire(self, cutoff_ns: int, now_ns: int) -> None:
        """Give up on what waits for a connection and was intended at or before the cutoff."""

    @property
    def waiting(self) -> int:
        """Requests that wait for a free connection."""
