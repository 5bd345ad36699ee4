"""Buffers to receive into, lent to the kernel together instead of one to each connection.

The kernel takes one only when there is something to receive; its number comes with the completion. It is ours from the
completion until `take` has copied what it holds and lent it again. So a connection that waits owns no buffer, however
long it waits, and ten thousand idle connections cost none.

The ring of lent buffers is memory that is shared with the kernel: entries of 16 bytes (address, length, number), and the
count of all that were ever lent, in the last two bytes of the first entry (struct io_uring_buf_ring).
"""

import ctypes
import errno
import mmap
from typing import Final

from common.sockets import RECEIVE_BYTES
from proactor.ring import Ring

NUMBER: Final = 256  # a power of two; who finds none left (-ENOBUFS) asks again in the next turn
_ENTRY_BYTES: Final = 16
_LENT_AT: Final = 7  # in halves of words
_HAS_BUFFER: Final = 1 << 0  # in a completion's flags, and above it the buffer's number
_NUMBER_SHIFT: Final = 16


class Buffers:
    """All buffers of one ring. What was never received into never becomes memory."""

    def __init__(self, ring: Ring) -> None:
        """Lend all of them.

        Raises:
            OSError: the kernel refuses them.
        """
        self._memory = mmap.mmap(-1, NUMBER * RECEIVE_BYTES)
        self._at = _address(self._memory)
        shared = mmap.mmap(-1, NUMBER * _ENTRY_BYTES)
        self._words = memoryview(shared).cast("Q")
        self._lengths = memoryview(shared).cast("I")
        self._halves = memoryview(shared).cast("H")
        self._places = [-1] * NUMBER  # the number of the buffer that stands in each entry
        self._lent = 0
        ring.provide_buffers(_address(shared), NUMBER)
        for number in range(NUMBER):
            self._lend(number)

    def take(self, flags: int, size: int) -> bytes:
        """What a completion has received, nothing where it failed; its buffer is the kernel's again."""
        if not flags & _HAS_BUFFER:
            return b""
        number = flags >> _NUMBER_SHIFT
        at = number * RECEIVE_BYTES
        data = self._memory[at : at + size] if size > 0 else b""
        self._lend(number)
        return data

    def are_used_up(self, result: int) -> bool:
        """Whether a receive failed because the kernel had no buffer left: it is to be queued again."""
        return result == -errno.ENOBUFS

    def _lend(self, number: int) -> None:
        place = self._lent % NUMBER
        if self._places[place] != number:  # most often they come back in the order in which they were lent
            self._places[place] = number
            self._words[2 * place] = self._at + number * RECEIVE_BYTES
            self._lengths[4 * place + 2] = RECEIVE_BYTES
            self._halves[8 * place + 6] = number
        self._halves[_LENT_AT] = self._lent = (self._lent + 1) & 0xFFFF


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
