"""Which kind of request is next: drawn by weight, from the seed.

Each connection has a series of draws of its own, which depends on the seed, the process's share of the load and the
connection's number, and on nothing that happens while the load runs. It is drawn in blocks: a request costs a look into one.
"""

from collections.abc import Sequence

import numpy as np

_BLOCK = 256  # draws; a block takes about 30 µs to make
_NO_CONNECTION = 1 << 32


class Mix:
    """The draws of one process."""

    def __init__(self, weights: Sequence[float], seed: int, share: int = 0) -> None:
        """Of at least one kind.

        Args:
            weights: of each kind; its share is its weight over their sum.
            seed: of all draws.
            share: number of the process among those that share the load.
        """
        sums = np.cumsum(np.asarray(weights, np.float64))
        self._edges = sums[:-1] / sums[-1]
        self._key = np.array([seed, share], np.uint64)
        self.unsent = self.series(_NO_CONNECTION)  # of requests that never get as far as a connection

    def series(self, connection: int) -> "Series":
        """The draws of a connection, from the first one on."""
        return Series(self, connection)

    def block(self, connection: int, number: int) -> bytes:
        """A connection's block of draws of that number, a byte each."""
        draws = np.random.Generator(np.random.Philox(key=self._key, counter=[0, 0, number, connection])).random(_BLOCK)
        return np.searchsorted(self._edges, draws, side="right").astype(np.uint8).tobytes()


class Series:
    """One connection's draws, in order."""

    __slots__ = ("_block", "_connection", "_drawn", "_mix")

    def __init__(self, mix: Mix, connection: int) -> None:
        self._mix = mix
        self._connection = connection
        self._block = b""
        self._drawn = 0

    def draw(self) -> int:
        """The number of the next request's kind."""
        at = self._drawn % _BLOCK
        if not at:
            self._block = self._mix.block(self._connection, self._drawn // _BLOCK)
        self._drawn += 1
        return self._block[at]
