"""Main and sub reactors: one loop does nothing but accept, and hands each connection, in turn, to one of the sub-loops.

The invariants:
- The main loop owns a connection from accept until it is in an inbox; then it is the sub-reactor's, which closes it.
- A sub-reactor is a reactor whose connections come from an inbox instead of a listening socket. It counts in a slot of
  its own. Nothing else is shared between two loops.
- Only the main loop is told to stop. It stops accepting first and tells the sub-loops then, so an inbox never gains
  anything once its loop has emptied it for the last time.

In threads the loops share one process: a crash takes them all, and one GIL has them compute in turn. In processes the
main loop passes the descriptor itself to a process that was made ahead; one that dies is replaced.
"""

import socket
import time
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import Final, Protocol

from common.family import Family
from common.scoreboard import Counts
from common.service import Service
from common.sockets import Listener
from common.threads import Crew
from reactor.inbox import InboxOfProcess, InboxOfThread
from reactor.loop import Reactor
from reactor.parts import READ

_NAP_S: Final = 0.001


class Subs(Protocol):
    """The sub-reactors, as the main loop sees them."""

    def put(self, connection: socket.socket, peer: str) -> bool:
        """Hand a connection to the next in turn; False: its inbox is full."""

    def tend(self) -> float | None:
        """Replace who has died; the seconds until this is to be done again, None: when a signal comes."""

    def end(self) -> None:
        """Have them all finish, within the time that the contract allows."""


def serve(service: Service) -> None:
    """The main loop's life."""
    listener = service.listen()
    number = service.option("loops", int)
    in_threads = service.option("loops_in", str) == "threads"
    subs: Subs = InThreads(service, number) if in_threads else InProcesses(service, listener, number)
    while service.wait(listener, subs.tend()):
        for connection, peer in listener.waiting(service.counts):
            hand_over(service, subs, number, connection, peer)
    listener.close()
    subs.end()
    service.finish()


def hand_over(service: Service, subs: Subs, number: int, connection: socket.socket, peer: str) -> None:
    """To the next that has room. While nobody has, the main loop waits, and with it the clients that come after."""
    while not any(subs.put(connection, peer) for _ in range(number)):
        if service.stopping:
            connection.close()
            return
        time.sleep(_NAP_S)
        subs.tend()


class InThreads:
    """Sub-reactors in threads of this process."""

    def __init__(self, service: Service, number: int) -> None:
        self._service = service
        self._inboxes = [InboxOfThread() for _ in range(number)]
        self._turn = cycle(self._inboxes)
        self._crew = Crew(service)
        for inbox, slot in zip(self._inboxes, service.scoreboard.claim_for_workers(number), strict=True):
            self._crew.add(f"sub-reactor {slot}", partial(self._live, inbox, service.scoreboard.counts(slot)))
        self._crew.start()

    def put(self, connection: socket.socket, peer: str) -> bool:
        """Always taken: this inbox has no end."""
        return next(self._turn).put(connection, peer)

    def tend(self) -> None:
        """A thread does not die alone."""

    def end(self) -> None:
        """One that hangs is left behind when the time is up: the process ends all the same."""
        for inbox in self._inboxes:
            inbox.stop()
        self._crew.end()

    def _live(self, inbox: InboxOfThread, counts: Counts) -> None:
        reactor = Reactor(self._service, inbox, counts)
        reactor.run(inbox)
        reactor.take()
        reactor.finish()


class InProcesses:
    """Sub-reactors in processes, made ahead and replaced."""

    def __init__(self, service: Service, listener: Listener, number: int) -> None:
        self._service = service
        self._listener = listener
        self._inboxes = [InboxOfProcess() for _ in range(number)]
        self._turn = cycle(self._inboxes)
        self._held: socket.socket | None = None  # a connection for which there was no room yet
        self._family = Family(service, number, 1, self._live)

    def put(self, connection: socket.socket, peer: str) -> bool:
        """Whether there was room."""
        taken = next(self._turn).put(connection, peer)
        self._held = None if taken else connection
        return taken

    def tend(self) -> float | None:
        """A successor takes over inbox and slot."""
        return self._family.tend()

    def end(self) -> None:
        """One that hangs is killed when the time is up."""
        self._family.end()

    def _live(self, slots: Sequence[int]) -> None:
        """The whole life of a sub-reactor's process."""
        service, scoreboard = self._service, self._service.scoreboard
        inbox = self._inboxes[scoreboard.workers.index(slots[0])]
        self._listener.close()
        if self._held is not None:  # while it was, we were forked: a copy of it is nobody's
            self._held.close()
        for other in self._inboxes:
            if other is not inbox:
                other.close()
        service.become_worker(scoreboard.counts(slots[0]))
        reactor = Reactor(service, inbox, service.counts)
        reactor.epoll.register(service, READ)  # signals wake it
        reactor.run(service)
        reactor.take()
        reactor.finish()
        service.log.flush()
