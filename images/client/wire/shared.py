"""What all slots of a run have in common."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from client.books.accounts import Accounts
from client.protocols.base import Wire
from client.wire.mix import Mix
from client.wire.sources import Sources
from client.wire.target import Address
from client.wire.tls import Tls

if TYPE_CHECKING:
    from client.wire.slot import Slot


@dataclass
class Shared:
    """What all slots of a run have in common."""

    loop: asyncio.AbstractEventLoop
    addresses: tuple[Address, ...]  # of the servers: one, or several that connections go to in turn
    wire: Wire  # the protocol
    mix: Mix | None  # None: there is one kind of request
    requests_per_connection: int | None  # after so many it is given up for a new one; None: never
    accounts: Accounts
    tls: Tls | None  # None: plain text
    ready: Callable[["Slot", int], None]  # the slot can take a request, since when (ns)
    sources: Sources | None = None  # addresses of this host to connect from; None: the kernel's choice
    first_connection: int = 0  # the number of the first slot among all connections of the load
    connected: int = 0  # connections open now
    held: int = 0  # of these, answered on, and kept
    opened: int = 0  # over the whole life
    last_errno: int = 0  # of a connect, to explain that none succeeds
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  # kept from being collected while they run

    def address_of(self, slot: int) -> Address:
        """Where the connections of a slot go."""
        return self.addresses[(self.first_connection + slot) % len(self.addresses)]

    @property
    def varies(self) -> bool:
        """Whether the next request may have other bytes than the last one on the same connection."""
        return self.mix is not None or self.requests_per_connection is not None or not self.wire.repeats
