"""The reactor as Python's ecosystem has it: a `Protocol` of asyncio's on uvloop, whose loop is libuv's.

The invariants:
- The transport owns the descriptor, keeps what the kernel does not take, and closes when it is told to. We own the
  session; the loop calls us with what came in, and we write what is to go out.
- Whoever does not read our answers is not read from either: while the transport holds anything unsent
  (`pause_writing`), or an answer is still to be made, reading is paused.
- uvloop wakes for signals itself, so the stop is its signal handler here. Marks stay with the handler of the Service,
  which the interpreter runs when the loop wakes.
- We accept ourselves. libuv, out of descriptors, closes everyone who waits (its "EMFILE trick"); in every model here
  they wait until there is room.
"""

import asyncio
import signal
from functools import partial
from typing import Final, cast

from common.blocking import FINISH_S, LINGER_S
from common.service import Service
from common.sockets import Listener
from reactor.asyncio_calls import AsyncioCalls

_STOPS: Final = (signal.SIGTERM, signal.SIGINT)


def serve(service: Service) -> None:
    """The whole server."""
    try:
        import uvloop
    except ImportError as error:
        service.give_up(
            f"variant uvloop cannot be had: {error}; install uvloop for this Python, or choose another variant"
        )
    service.uncounted = ("wakeups",)  # libuv's own
    uvloop.run(Server(service, service.listen()).run())
    service.finish()


class Server:
    """Accepting, stopping, and the clients in between.

    Attributes:
        service: all that is not the model.
        loop: uvloop's.
        calls: to the backend, where the handler has one.
        clients: from connection made to connection lost.
    """

    def __init__(self, service: Service, listener: Listener) -> None:
        self.service = service
        self.clients: set[Client] = set()
        self.calls: AsyncioCalls | None = None
        self._listener = listener
        self._begun: set[asyncio.Task[object]] = set()  # accepted, and not with a transport yet

    async def run(self) -> None:
        """Serve until the service is to stop, then finish."""
        self.loop = asyncio.get_running_loop()
        if (backend := self.service.config.handler.backend) is not None:
            self.calls = AsyncioCalls(backend, self.service.counts)
        self._stop = asyncio.Event()
        for number in _STOPS:
            self.loop.add_signal_handler(number, self._be_stopped)
        self._listen()
        if not self.service.stopping:  # by a signal that came before these handlers
            await self._stop.wait()
        self.loop.remove_reader(self._listener.socket)
        self._listener.close()
        await self._finish()
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)  # closing its loop, uvloop lets them kill the process again

    def _be_stopped(self) -> None:
        self.service.stopping = True
        self._stop.set()

    def _listen(self) -> None:
        if not self.service.stopping:
            self.loop.add_reader(self._listener.socket, self._accept)

    def _accept(self) -> None:
        for accepted, peer in self._listener.waiting(self.service.counts):
            accepted.setblocking(False)
            made = self.loop.connect_accepted_socket(partial(Client, self, peer), accepted)
            task: asyncio.Task[object] = self.loop.create_task(made)
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)
        if rest_s := self._listener.rest_left_s():
            self.loop.remove_reader(self._listener.socket)
            self.loop.call_later(rest_s, self._listen)

    async def _finish(self) -> None:
        """Answer what has been received, close everything."""
        await asyncio.gather(*self._begun, return_exceptions=True)
        for _ in range(3):  # each turn of the loop delivers what lies in the sockets
            await asyncio.sleep(0)
        for client in tuple(self.clients):
            client.finish()
        end_s = self.loop.time() + FINISH_S
        while self.clients and self.loop.time() < end_s:
            await asyncio.sleep(0.005)
        for client in tuple(self.clients):
            client.cut()
        await asyncio.sleep(0)
        if self.calls is not None:
            self.calls.close()


class Client(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_answering", "_ended", "_full", "_linger", "_peer", "_reading", "_server", "_session", "_transport")

    def __init__(self, server: Server, peer: str) -> None:
        self._server = server
        self._peer = peer
        self._full = False  # the transport holds what the kernel has not taken
        self._reading = True
        self._ended = False  # we have said that nothing more comes, and read away what still does (lingering)
        self._linger: asyncio.TimerHandle | None = None
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""
        service = self._server.service
        self._session = service.session(self._peer, service.counts)
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)
        self._server.clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # whyever
        """The descriptor is closed."""
        self._server.clients.discard(self)
        if self._linger is not None:
            self._linger.cancel()

    def data_received(self, data: bytes) -> None:
        """Bytes have come; answer, if they make a request whole."""
        if not self._ended:
            self._go_on(self._session.receive(data))

    def pause_writing(self) -> None:
        """The client reads more slowly than we write. Called within `write`."""
        self._full = True

    def resume_writing(self) -> None:
        """All is sent."""
        self._full = False
        self._go_on(b"")

    def finish(self) -> None:
        """No more requests will come; with nothing to be sent or answered, that is the end."""
        session = self._session
        if not (session.asking or session.behind or self._full):
            self._transport.close()

    def cut(self) -> None:
        """The time is up."""
        self._transport.abort()

    def _go_on(self, output: bytes) -> None:
        """Send, and see what must come next."""
        session = self._session
        if output:
            self._transport.write(output)
        if self._full:
            self._read(False)
        elif session.asking:
            self._read(False)
            self._answering = self._server.loop.create_task(self._ask())
        elif session.closing:
            self._end()
        elif session.behind:
            self._read(False)
            self._server.loop.call_soon(self._catch_up)
        elif not self._reading:
            self._read(True)

    def _catch_up(self) -> None:
        """Answer what came with earlier requests; others of this loop have had their turn."""
        if not self._transport.is_closing():
            self._go_on(self._session.receive(b""))

    async def _ask(self) -> None:
        """Wait for the backend, and go on, unless the client has gone."""
        calls = self._server.calls
        right = calls is not None and await calls.ask()
        self._answering = None
        if not self._transport.is_closing():
            self._go_on(self._session.resume(right))

    def _read(self, wanted: bool) -> None:
        if wanted == self._reading:
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _end(self) -> None:
        """Close, after letting the client stop sending where it may still be (why: `_linger` in blocking.py)."""
        if not self._session.lingering:
            self._transport.close()
        elif not self._ended:
            self._ended = True
            self._transport.write_eof()
            self._read(True)
            self._linger = self._server.loop.call_later(LINGER_S, self._transport.close)
