"""Thread per connection: the main thread accepts, and starts a thread that serves this one connection and ends.

Who owns what:
- The main thread owns the listening socket, and hands each connection to a thread.
- The thread owns its connection. All threads share one table of descriptors, so one close, by the thread, is enough.
- Nobody joins a thread that ends of itself: its last act is to strike itself off the list of the living.
- A thread counts in a slot of its own, so counting needs no lock; it gives the slot back when it ends.
"""

import socket
import threading

from common.blocking import converse, hang_up, insist
from common.scoreboard import THREADS
from common.service import Service
from common.sockets import Listener

Living = set[socket.socket]  # the connections of all threads; the main thread adds, each thread takes its own out


def main() -> None:
    """The main thread's life."""
    service = Service.start()
    listener = service.listen()
    living: Living = set()
    while service.wait(listener):
        for connection, peer in listener.waiting(service.counts):
            start_thread(service, listener, living, connection, peer)
    listener.close()
    end_threads(living)
    service.finish()


def start_thread(service: Service, listener: Listener, living: Living, connection: socket.socket, peer: str) -> None:
    """From here on the connection is the thread's."""
    slot = -1
    living.add(connection)
    try:
        slot = service.scoreboard.claim()
        threading.Thread(target=serve, args=(service, living, connection, peer, slot), daemon=True).start()
        service.counts[THREADS] += 1
    except (RuntimeError, OSError):  # no more threads may be had: this client is turned away, the others left to wait
        if slot >= 0:
            service.scoreboard.release(slot)
        living.discard(connection)
        connection.close()
        listener.rest()


def serve(service: Service, living: Living, connection: socket.socket, peer: str, slot: int) -> None:
    """The whole life of a thread."""
    try:
        counts = service.scoreboard.counts(slot)
        converse(connection, service.session(peer, counts), service.backend(counts))
    finally:
        connection.close()
        service.scoreboard.release(slot)
        living.discard(connection)


def end_threads(living: Living) -> None:
    """Have them all finish: a thread cannot be signalled, but the socket that it sleeps on can be ended."""
    for how in insist():
        if not living:
            return
        for connection in tuple(living):
            hang_up(connection, how)


if __name__ == "__main__":
    main()
