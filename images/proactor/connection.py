"""One connection of a client."""

import math

from common.session import Session
from proactor import operations
from proactor.tokens import RECEIVED, token_of


class Connection:
    """Its descriptor, its conversation, and what is lent to the kernel.

    Attributes:
        fd: the descriptor, ours from the completion of accept until the close is queued.
        receive: the operation that it most often needs, made once.
        session: the conversation, without any I/O.
        lent: what the kernel reads for the operation in flight: referenced from here until its completion.
        sent: bytes of it that the kernel has taken.
        ended: we have said that nothing more comes, and read away what still does, until `deadline_s` (lingering).
            The ring's timer alone would not do: what is there already is received without a look at it.
    """

    __slots__ = ("deadline_s", "ended", "fd", "lent", "receive", "sent", "session")

    def __init__(self, fd: int, session: Session) -> None:
        self.fd = fd
        self.receive = operations.receive(fd, token_of(RECEIVED, fd))
        self.session = session
        self.lent = b""
        self.sent = 0
        self.ended = False
        self.deadline_s = math.inf
