"""What came of each of several servers, among which connections are spread in turn."""

import numpy as np

from client.books.buckets import Bools, Ints
from client.books.tally import Ended


class Spread:
    """Counts by server; of one server alone there are none."""

    def __init__(self, servers: int = 0, first_connection: int = 0, connections: int = 0) -> None:
        """Begin at nothing.

        Args:
            servers: how many there are.
            first_connection: the number of the first slot among all connections of the load.
            connections: how many slots there are at first.
        """
        self._servers = servers
        self._first = first_connection
        self._connections = self._by_server(np.arange(connections)) if servers else np.zeros(0, np.int64)
        self._completed, self._failed, self._life_ok = (np.zeros(servers, np.int64) for _ in range(3))

    def fold(self, requests: Ended, inside: Bools, anywhere: Bools) -> None:
        """Add records.

        Args:
            requests: the records.
            inside: which of them ended within the window.
            anywhere: which of them had a connection at all.
        """
        if not self._servers:
            return
        slots, right = requests.slots, requests.right
        self._completed += self._by_server(slots[inside & right])
        self._failed += self._by_server(slots[inside & anywhere & ~right])
        self._life_ok += self._by_server(slots[right])

    def _by_server(self, slots: Ints) -> Ints:
        counts: Ints = np.bincount((self._first + slots) % self._servers, minlength=self._servers)
        return counts

    def report(self) -> list[dict[str, int]]:
        """As in the report, in the servers' order."""
        counts = (self._connections, self._completed, self._failed, self._life_ok)
        return [
            dict(zip(("connections", "completed_in_window", "failed_in_window", "life_ok"), one, strict=True))
            for one in zip(*(each.tolist() for each in counts), strict=True)
        ]
