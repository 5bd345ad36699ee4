"""What all slots of a run have in common."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from client import outcome
from client.accounts import Accounts
from client.response import Head, Response
from client.sources import Sources
from client.target import Address
from client.tls import Tls

if TYPE_CHECKING:
    from client.slot import Slot

_MAX_KNOWN_HEADS = 256


@dataclass
class Shared:
    """What all slots of a run have in common."""

    loop: asyncio.AbstractEventLoop
    address: Address
    method: str
    request: bytes
    per_request: bool
    expect_status: int | None  # None: any 2xx
    expect_body_bytes: int | None  # None: any length
    accounts: Accounts
    tls: Tls | None  # None: plain http
    ready: Callable[["Slot", int], None]  # the slot can take a request, since when (ns)
    sources: Sources | None = None  # addresses of this host to connect from; None: the kernel's choice
    connected: int = 0  # connections open now
    held: int = 0  # of these, answered on, and kept
    opened: int = 0  # over the whole life
    last_errno: int = 0  # of a connect, to explain that none succeeds
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  # kept from being collected while they run

    # Head block: length of the body it announces. A pure function of the exact bytes, for the plain kind of head only
    # (of a right answer, with a content length, persistent), so looking it up is parsing and judging it; bounded, as
    # heads carry dates.
    known_heads: dict[bytes, int] = field(default_factory=dict)
    # The last answer that was found right in this way: the same bytes again are the same answer.
    last_answer: bytes = b""

    def judge(self, response: Response, head: Head) -> int:
        """How a whole answer ends its request: whether it is what was expected."""
        if head.status != self.expect_status and (self.expect_status is not None or not 200 <= head.status < 300):
            return outcome.STATUS
        if self.expect_body_bytes not in (None, response.body_bytes):
            return outcome.WRONG
        return outcome.OK

    def remember(self, response: Response, head: Head) -> None:
        """Remember the head of a whole, right response, if it is of the plain kind."""
        if response.plain_head and head.persistent and head.length is not None:
            if len(self.known_heads) >= _MAX_KNOWN_HEADS:
                self.known_heads.clear()
            self.known_heads[response.plain_head] = head.length
