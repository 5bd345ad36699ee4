"""Thread per connection: the main thread accepts, and starts a thread that serves this one connection and ends.

Who owns what:
- The main thread owns the listening socket, and hands each connection to a thread.
- The thread owns its connection. All threads share one table of descriptors, so one close, by the thread, is enough.
  The connection to the backend is the thread's too, and lives as long as the thread does.
- Nobody joins a thread that ends of itself: its last act is to strike itself off the list of the living.
- A thread counts in a slot of its own, so counting needs no lock; it gives the slot back when it ends. With `stats:
  lock` the requests are counted in one number instead, under a lock that all threads take (claim C11, tally.py).
- All else is shared. The ballast costs a new thread nothing, where fork would copy its page tables. A handler that
  crashes or exits takes all connections along; one that deadlocks stops every thread that wants its locks; one that
  hangs stops its own thread only. Python code runs one thread at a time (the GIL).
"""

import socket
import threading

from common.ballast import hold_ballast
from common.blocking import converse, hang_up, insist
from common.scoreboard import THREADS
from common.service import Service
from common.tally import make_tally


class ThreadPerConnection:
    """The main thread, and what it shares with the others."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tell = make_tally(service)
        self._ballast = hold_ballast(service)
        self._listener = service.listen()
        self._living: set[socket.socket] = set()  # the main thread adds a connection, its thread takes it out

    def run(self) -> None:
        """Accept until the service is to stop."""
        while self._service.wait(self._listener):
            for connection, peer in self._listener.waiting(self._service.counts):
                self._start_thread(connection, peer)
        self._listener.close()

    def end(self) -> None:
        """Have all threads finish: a thread cannot be signalled, but the socket that it sleeps on can be ended."""
        for how in insist():
            if not self._living:
                return
            for connection in tuple(self._living):
                hang_up(connection, how)

    def _start_thread(self, connection: socket.socket, peer: str) -> None:
        """From here on the connection is the thread's."""
        scoreboard = self._service.scoreboard
        slot = -1
        self._living.add(connection)
        try:
            slot = scoreboard.claim()
            threading.Thread(target=self._serve, args=(connection, peer, slot), daemon=True).start()
            self._service.counts[THREADS] += 1
        except (
            RuntimeError,
            OSError,
        ):  # no more threads to be had: this client is turned away, the others left to wait
            if slot >= 0:
                scoreboard.release(slot)
            self._living.discard(connection)
            connection.close()
            self._listener.rest()

    def _serve(self, connection: socket.socket, peer: str, slot: int) -> None:
        """The whole life of a thread."""
        counts = self._service.scoreboard.counts(slot)
        backend = self._service.backend(counts)
        try:
            converse(connection, self._service.session(peer, counts, self._tell), backend)
        finally:
            connection.close()
            if backend is not None:
                backend.close()
            self._service.scoreboard.release(slot)
            self._living.discard(connection)


def main() -> None:
    """The main thread's life."""
    service = Service.start()
    service.count_requests = service.option("stats", str) != "off"
    server = ThreadPerConnection(service)
    server.run()
    server.end()
    service.finish()


if __name__ == "__main__":
    main()
