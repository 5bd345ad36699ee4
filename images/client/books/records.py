"""Where the hot path leaves its numbers: flat arrays of 64-bit integers, taken away in blocks and folded later.

A request is recorded once, when it ends, however it ends: that is why nothing can vanish from the report.
"""

from array import array
from collections import deque

import numpy as np

from client.books.buckets import Ints

# The last column of a record packs four numbers, as every further append would cost as much as the packing.
_ENDING_SHIFT = 34  # below: bytes of the answer, up to 16 GiB
_KIND_SHIFT = 38  # 4 bits of ending, then the kind of request
_SLOT_SHIFT = 43  # 5 bits of it, then the slot: 20 bits
_BYTES_MASK = (1 << _ENDING_SHIFT) - 1
_ENDING_MASK = (1 << (_KIND_SHIFT - _ENDING_SHIFT)) - 1
_KIND_MASK = (1 << (_SLOT_SHIFT - _KIND_SHIFT)) - 1


def key_of(slot: int, ending: int = 0, kind: int = 0) -> int:
    """The last column of a record, to which the bytes of the answer are added."""
    return slot << _SLOT_SHIFT | kind << _KIND_SHIFT | ending << _ENDING_SHIFT


def unpack(keys: Ints) -> tuple[Ints, Ints, Ints]:
    """Slots, endings and bytes of records."""
    return keys >> _SLOT_SHIFT, keys >> _ENDING_SHIFT & _ENDING_MASK, keys & _BYTES_MASK


def kinds_of(keys: Ints) -> Ints:
    """Which kind of request of the mix each record is of."""
    return keys >> _KIND_SHIFT & _KIND_MASK


class Log:
    """Rows of a fixed number of columns: `push` each number in turn, `take` the rows in bulk."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._fresh: array[int] = array("q")
        self.push = self._fresh.append  # bound once: this is the hot path
        self._blocks: deque[bytes] = deque()
        self.rows = 0  # set aside over its whole life
        self.pending_bytes = 0

    def set_aside(self) -> None:
        """Move the fresh rows into a block. Called often, so that no single copy is long."""
        if not self._fresh:
            return
        block = self._fresh.tobytes()
        del self._fresh[:]  # the same array, as `push` is bound to it
        self._blocks.append(block)
        self.pending_bytes += len(block)
        self.rows += len(block) // (8 * self.columns)

    def take(self, most_rows: int) -> Ints:
        """Remove and return rows in the order in which they came: about `most_rows`, by whole blocks, none if empty."""
        taken: list[bytes] = []
        size = 0
        while self._blocks and (not taken or size + len(self._blocks[0]) <= most_rows * 8 * self.columns):
            taken.append(self._blocks.popleft())
            size += len(taken[-1])
        self.pending_bytes -= size
        return np.frombuffer(b"".join(taken), np.int64).reshape(-1, self.columns)
