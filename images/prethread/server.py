"""Pre-threaded: the threads are there before the connections come, and each serves one connection after another.

A connection reaches its thread in one of two ways, and in nothing else they differ (`variant`):
- `handoff`: one thread of the process accepts, and puts the connection on a queue that the free threads sleep on.
- `accept`: every free thread sleeps in accept, and the kernel wakes exactly one.

Who owns what:
- All threads of all processes share one listening socket. Nobody closes it: the main process shuts it down, which wakes
  whoever sleeps in accept. Connections beyond the number of threads wait in its queue, in the kernel.
- A connection belongs to the thread that took it, which closes it. On the queue it belongs to nobody; so none is
  accepted before a thread is free to take it. Accepted ahead, it would be missing from the listen queue, where one
  looks for those that wait; it would be kept from another process that has a thread free; and a crash would take it.
- The main thread of a process neither accepts nor serves. Python handles signals there, and only there, so it sleeps
  where a signal wakes it. The accepting thread is one more beside the workers, and counted as made.
- Each thread counts in a slot of its own.
- All else is shared. A handler that crashes or exits takes its process along; one that deadlocks stops every thread of
  the process; one that hangs takes its own thread only. Python code of a process runs one thread at a time (the GIL).

With `processes: 1` that is the main process, and when it dies the server is gone. More are its children: when one dies,
its connections are lost, the others go on, and a new one takes its place.
"""

import gc
import socket
import time
from collections.abc import Sequence
from functools import partial
from queue import SimpleQueue
from typing import Final, TypeAlias

from common.blocking import converse
from common.family import Family
from common.scoreboard import WAKEUPS, Counts
from common.service import Service
from common.sockets import Listener
from common.tally import make_tally
from common.threads import Crew

Accepted: TypeAlias = tuple[socket.socket, str]  # a connection, and its client's address
THREADS_APART: Final = 2  # of a child: the main one, and the one that accepts for the others


class AllAccept:
    """Whoever is free accepts."""

    def __init__(self, service: Service, listener: Listener) -> None:
        self._service = service
        self._listener = listener

    def take(self, counts: Counts) -> Accepted | None:
        """Sleep until there is a connection; none once there will be no more."""
        while not (self._listener.ended or self._service.stopping):
            accepted = self._listener.accept_one(counts)
            counts[WAKEUPS] += 1
            if accepted is not None:
                return accepted
            time.sleep(self._listener.rest_left_s())  # out of descriptors, or shut down
        return None

    def stop(self) -> None:
        """Who sleeps in accept is woken when the socket is shut down."""


class HandOff:
    """One accepts for all. Both queues sleep in the kernel; neither ever holds more than there are workers."""

    def __init__(self, source: AllAccept, workers: int) -> None:
        self._source = source
        self._workers = workers
        self._free: SimpleQueue[bool] = SimpleQueue()  # one entry for each worker that no connection is accepted for
        self._handed: SimpleQueue[Accepted | None] = SimpleQueue()

    def accept(self, counts: Counts) -> None:
        """The accepting thread's life: wait for a worker, then for a connection."""
        while self._free.get() and (accepted := self._source.take(counts)) is not None:
            self._handed.put(accepted)
        for _ in range(self._workers):
            self._handed.put(None)

    def take(self, counts: Counts) -> Accepted | None:
        """Be free, and sleep until there is a connection; none once there will be no more."""
        self._free.put(True)
        accepted = self._handed.get()
        counts[WAKEUPS] += 1
        return accepted

    def stop(self) -> None:
        """Wake the accepting thread, should it wait for a worker."""
        self._free.put(False)


class Pool:
    """One process's threads at work."""

    def __init__(self, service: Service, listener: Listener, slots: Sequence[int]) -> None:
        """Make ready, and start nothing yet: a slot for the accepting thread, then one for each worker."""
        accepting, *working = map(service.scoreboard.counts, slots)
        self._service = service
        self._tell = make_tally(service)
        self._crew = Crew(service)
        self._way: AllAccept | HandOff = AllAccept(service, listener)
        for number, counts in enumerate(working):
            self._crew.add(f"worker {number}", partial(self._work, counts))
        if service.option("variant", str) == "handoff":
            self._way = hand_off = HandOff(self._way, len(working))
            self._crew.add("acceptor", partial(hand_off.accept, accepting))

    def run(self) -> None:
        """The main thread's life, until the service is to stop."""
        self._crew.start()
        while self._service.sleep(None):
            pass

    def end(self) -> None:
        """Have all threads finish. The listening socket has been shut down."""
        self._way.stop()
        self._crew.end()

    def _work(self, counts: Counts) -> None:
        """A worker's life."""
        backend = self._service.backend(counts)
        while (accepted := self._way.take(counts)) is not None:
            connection, peer = accepted
            with self._crew.serving(connection):
                converse(connection, self._service.session(peer, counts, self._tell), backend)


def main() -> None:
    """The main process's life."""
    service = Service.start()
    service.count_requests = service.option("stats", str) != "off"
    listener = service.listen(blocking=True)
    workers = make_workers(service, listener)
    workers.run()
    listener.shut_down()
    workers.end()
    service.finish()


def make_workers(service: Service, listener: Listener) -> Pool | Family:
    """The pool of this process, or children that have one each."""
    processes, threads = service.option("processes", int), service.option("threads", int)
    scoreboard = service.scoreboard
    try:
        if processes == 1:
            return Pool(service, listener, [scoreboard.claim(), *scoreboard.claim_for_workers(threads)])
        gc.freeze()  # a collection writes into every object's header, and would copy all pages shared with the parent
        return Family(service, processes, threads, partial(live, service, listener), THREADS_APART)
    except BlockingIOError as error:
        service.give_up(f"{processes} processes of {threads} threads: {error.strerror}; lower one of them")


def live(service: Service, listener: Listener, slots: Sequence[int]) -> None:
    """The whole life of a child."""
    service.become_worker(service.scoreboard.counts(slots[0]))
    pool = Pool(service, listener, slots[1:])
    pool.run()
    pool.end()
    service.log.flush()


if __name__ == "__main__":
    main()
