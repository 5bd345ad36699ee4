"""Process per connection: the parent accepts, and forks a child that serves this one connection and exits.

Who owns what:
- The parent owns the listening socket. It owns a connection only from accept to fork, and closes its copy then:
  the client sees the end of the stream when the last copy is closed, not the first.
- The child owns its copy of the connection, and nothing else. It never returns into the parent's loop.
- The parent reaps every child, or the dead would fill the process table. It learns of a death through SIGCHLD,
  which wakes its sleep.
- A child counts in a slot of shared memory. The slot is the parent's to give, and to give again after reaping.
"""

import gc
import socket

from common.blocking import converse
from common.children import Children, exit_after
from common.service import Service
from common.sockets import Listener


def main() -> None:
    """The parent's life."""
    service = Service.start()
    listener = service.listen()
    children = Children(service.counts)
    # Collecting garbage writes into every object's header; a child that did it would copy all the pages that it
    # shares with the parent. Frozen objects are left alone.
    gc.freeze()
    while service.wait(listener):
        for slot in children.reap():
            service.scoreboard.release(slot)
        for connection, peer in listener.waiting(service.counts):
            start_child(service, listener, children, connection, peer)
    listener.close()
    children.end()
    service.finish()


def start_child(service: Service, listener: Listener, children: Children, connection: socket.socket, peer: str) -> None:
    """Fork a child for this connection, and let go of our copy of it."""
    slot = -1
    try:
        slot = service.scoreboard.claim()
        if children.fork(slot):
            exit_after(lambda: serve(service, listener, connection, peer, slot))
    except OSError:  # no more processes may be had: this client is turned away, the others are left to wait
        if slot >= 0:
            service.scoreboard.release(slot)
        listener.rest()
    finally:
        connection.close()


def serve(service: Service, listener: Listener, connection: socket.socket, peer: str, slot: int) -> None:
    """The whole life of a child."""
    counts = service.scoreboard.counts(slot)
    listener.close()
    service.become_child(counts, connection)
    converse(connection, service.session(peer, counts), service.backend(counts))
    connection.close()
    service.log.flush()


if __name__ == "__main__":
    main()
