"""@name@: a starting point. One thread accepts, and starts a thread for each connection; change it into your model.

What images/common does already: configuration, signals, marks and the exit report (`Service`), the listening socket
(`Listener`), HTTP and the handler without any I/O (`Session`), and a whole conversation on a blocking socket
(`converse`). What is left is the model: who accepts, who serves, who closes. Say here what a reader of the code has to
know to trust it:
- The main thread owns the listening socket; a connection is the thread's that serves it, which closes it, too.
- A thread counts in a slot of its own, so counting needs no lock; it gives the slot back when it ends.
"""

import socket
import threading

from common.blocking import converse, hang_up, insist
from common.scoreboard import THREADS
from common.service import Service

Living = set[socket.socket]  # connections that are being served


def main() -> None:
    """The main thread's life: accept until SIGTERM, then have the others finish, then report."""
    service = Service.start()
    listener = service.listen()
    living: Living = set()
    while service.wait(listener):  # sleeps until a connection waits or a signal has come
        for connection, peer in listener.waiting(service.counts):
            living.add(connection)
            slot = service.scoreboard.claim()
            service.counts[THREADS] += 1
            threading.Thread(target=serve, args=(service, living, connection, peer, slot), daemon=True).start()
    listener.close()
    end(living)
    service.finish()


def serve(service: Service, living: Living, connection: socket.socket, peer: str, slot: int) -> None:
    """One connection, from its first request to its close."""
    counts = service.scoreboard.counts(slot)
    backend = service.backend(counts)  # none, unless the spec asks for calls to one
    try:
        converse(connection, service.session(peer, counts), backend)
    finally:
        connection.close()
        if backend is not None:
            backend.close()
        service.scoreboard.release(slot)
        living.discard(connection)


def end(living: Living) -> None:
    """Wake every thread that waits for its client, until all have answered what they had and closed."""
    for how in insist():
        if not living:
            return
        for connection in tuple(living):
            hang_up(connection, how)


if __name__ == "__main__":
    main()
