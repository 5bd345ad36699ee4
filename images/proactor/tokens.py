"""Tokens: the number that an operation carries and its completion brings back. What completed, and of whom.

A token is the kind of an operation and a descriptor (or a place). It is unique among the operations in flight, because a
connection has one in flight at a time, and a descriptor is given to nobody else before it is closed.
"""

from typing import Final

KIND_BITS: Final = 4
KINDS: Final = 1 << KIND_BITS
KIND: Final = KINDS - 1  # mask

RECEIVED: Final = 0
SENT: Final = 1
ACCEPTED: Final = 2
WOKEN: Final = 3  # by a signal
RESTED: Final = 4  # descriptors were used up; it is time to try again
GAVE_UP: Final = 5  # it is time to end, whoever is not served yet
CONNECTED: Final = 6  # to the backend, like the two below
ASKED: Final = 7
REPLIED: Final = 8
DISREGARDED: Final = 9  # of what only serves another operation: it completes too


def token_of(kind: int, owner: int = 0) -> int:
    """The token of an operation of this kind; `owner` is the descriptor, or the place, that it is for."""
    return owner << KIND_BITS | kind


NOBODY: Final = token_of(DISREGARDED)
