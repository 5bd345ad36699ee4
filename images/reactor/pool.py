"""A reactor and a pool of worker threads, for handlers that block: the loop does all I/O with clients, a worker the rest.

The invariants:
- Sockets and epoll are the loop's alone. A worker gets the bytes and gives back the answer.
- A session is the loop's, or one worker's: the loop hands it over with what was received, watches its connection for
  nothing, and touches it again when the answer is there. So no session needs a lock.
- A queue takes work to the workers, a queue and an eventfd take answers back: the eventfd is written after the answer
  is in the queue, and read before the queue is emptied, so no answer stays there unnoticed.
- A worker counts in its own slot, also what its sessions count.
"""

import contextlib
import os
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import cast

from common.backend import Backend
from common.scoreboard import Counts
from common.service import Service
from common.session import Session
from common.threads import Crew
from reactor.loop import Reactor
from reactor.parts import READ, Connection


def serve(service: Service) -> None:
    """The whole server; this thread is the loop's."""
    reactor = Reactor(service, service.listen(), service.counts)
    reactor.epoll.register(service, READ)  # signals wake it
    workers = Workers(service, service.option("threads", int), partial(reactor.resume, right=True))
    reactor.epoll.register(workers, READ)
    reactor.elsewhere = workers  # they ask the backend, too
    reactor.converse = lambda peer: Handed(service.session(peer, service.counts))
    reactor.run(service)
    reactor.finish()
    service.finish()  # workers are idle by now and end with the process; one that hangs does not keep it


class Handed:
    """A session as the loop sees it here: whatever was received is asked of a worker."""

    __slots__ = ("_answer", "_received", "_session", "asking")

    def __init__(self, session: Session) -> None:
        self.asking = False
        self._session = session
        self._received = b""
        self._answer = b""

    @property
    def behind(self) -> bool:
        """As of the session, like the next two; the loop looks when it has the session."""
        return self._session.behind

    @property
    def closing(self) -> bool:
        """As of the session."""
        return self._session.closing

    @property
    def lingering(self) -> bool:
        """As of the session."""
        return self._session.lingering

    def receive(self, data: bytes) -> bytes:
        """In the loop: this is for a worker."""
        self._received = data
        self.asking = True
        return b""

    def work(self, counts: Counts, backend: Backend | None) -> None:
        """In a worker: make the answer, however long it takes."""
        session = self._session
        session.counts = counts
        answer = session.receive(self._received)
        if session.asking:
            answer += session.resume(backend is not None and backend.ask())
        self._answer = answer

    def resume(self, right: bool) -> bytes:  # noqa: ARG002  # the worker has asked the backend itself
        """In the loop: a worker has made the answer."""
        answer, self._answer, self._received = self._answer, b"", b""
        self.asking = False
        return answer


class Workers:
    """The threads, and both ways between them and the loop."""

    def __init__(self, service: Service, number: int, done: Callable[[Connection], None]) -> None:
        self._service = service
        self._done = done
        self._asked: SimpleQueue[Connection] = SimpleQueue()
        self._answered: deque[Connection] = deque()
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        crew = Crew(service)
        for _ in range(number):
            slot = service.scoreboard.claim()  # not as a worker with connections: those are the loop's
            crew.add(f"worker {slot}", partial(self._live, service.scoreboard.counts(slot)))
        crew.start()

    def fileno(self) -> int:
        """Readable when answers are there."""
        return self._wakeup

    def ask(self, asker: Connection) -> None:
        """For the next worker that is free."""
        self._asked.put(asker)

    def ready(self, fd: int) -> None:
        """In the loop: send the answers that are there."""
        if fd != self._wakeup:
            return
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wakeup)
        while self._answered:
            self._done(self._answered.popleft())

    def left_s(self) -> float | None:
        """A worker has no deadline."""
        return None

    def close(self) -> None:
        """Nothing is left to be asked."""

    def _live(self, counts: Counts) -> None:
        """The whole life of a worker."""
        backend = self._service.backend(counts)
        while True:
            connection = self._asked.get()
            cast(Handed, connection.session).work(counts, backend)  # every session of this loop is one
            self._answered.append(connection)
            os.eventfd_write(self._wakeup, 1)
