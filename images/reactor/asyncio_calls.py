"""Calls to the backend as coroutines: a pool of kept connections on asyncio's loop.

The rules are those of `common/calls.py`: a connection carries one call at a time, the one used last is used next, every
call has one deadline, and one that finds its kept connection closed before a byte has come is made once more on a new one.
"""

import asyncio
from typing import cast

from common.backend import Reply, request_to
from common.config import BackendAddress
from common.scoreboard import BACKEND_CALLS, BACKEND_ERRORS, Counts


class _Link(asyncio.Protocol):
    """One connection to the backend, busy or kept."""

    def __init__(self, kept: "list[_Link]") -> None:
        self._kept = kept
        self._reply = Reply()
        self._answered: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def carry(self, request: bytes) -> Reply:
        """Carry one call, and return what came of its answer when that or the connection has ended."""
        reply = self._reply = Reply()
        self._answered = asyncio.get_running_loop().create_future()
        try:
            self._transport.write(request)
            await self._answered
        finally:  # also when the time is up
            self._answered = None
            if reply.right and not self._transport.is_closing():
                self._kept.append(self)
            else:
                self._transport.close()
        return reply

    def data_received(self, data: bytes) -> None:
        if self._answered is None:  # it says what nobody has asked
            self._transport.close()
            return
        self._reply.receive(data)
        if self._reply.ended:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # whyever
        if self in self._kept:
            self._kept.remove(self)
        self._wake()

    def close(self) -> None:
        self._transport.close()

    def _wake(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)


class AsyncioCalls:
    """The calls of one loop."""

    def __init__(self, address: BackendAddress, counts: Counts) -> None:
        self._address = address
        self._counts = counts
        self._request = request_to(address)
        self._kept: list[_Link] = []

    async def ask(self) -> bool:
        """Call the backend; whether its answer was right."""
        self._counts[BACKEND_CALLS] += 1
        right = False
        try:
            async with asyncio.timeout(self._address.timeout_s):
                right = await self._ask()
        except OSError:  # a time-out is one too
            pass
        if not right:
            self._counts[BACKEND_ERRORS] += 1
        return right

    def close(self) -> None:
        """Close the kept connections."""
        for link in tuple(self._kept):
            link.close()

    async def _ask(self) -> bool:
        if self._kept:
            reply = await self._kept.pop().carry(self._request)
            if reply.begun:
                return reply.right
        address = self._address
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(lambda: _Link(self._kept), address.host, address.port)
        return (await link.carry(self._request)).right
