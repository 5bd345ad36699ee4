"""Process per connection: the parent accepts, and forks a child that serves this one connection and exits.

Who owns what:
- The parent owns the listening socket. It owns a connection only from accept to fork, and closes its copy then:
  the client sees the end of the stream when the last copy is closed, not the first. (`parent_close: false` is the
  mistake of leaving that out: each connection costs the parent a descriptor, until it has none and accepts no more.)
- The child owns its copy of the connection, and nothing else. It never returns into the parent's loop.
- The parent reaps every child, or the dead would fill the process table. It learns of a death through SIGCHLD,
  which wakes its sleep.
- A child counts in a slot of shared memory. The slot is the parent's to give, and to give again after reaping.
  (`stats: pipe`: what the child has answered it tells the parent instead, a message for each request.)
- What the parent holds in memory, a fork copies the page tables of: `ballast` makes it large.
"""

import gc
import socket

from common.ballast import hold_ballast
from common.blocking import converse
from common.children import Children, exit_after
from common.request_pipe import RequestPipe
from common.service import Service


class Parent:
    """The process that accepts."""

    def __init__(self, service: Service) -> None:
        stats = service.option("stats", str)
        service.count_requests = stats != "off"
        self._pipe = RequestPipe(service) if stats == "pipe" else None
        self._closes = service.option("parent_close", bool)
        self._forgotten: list[socket.socket] = []  # connections that ought to have been closed here
        self._service = service
        self._ballast = hold_ballast(service)
        self._children = Children(service.counts)
        self._listener = service.listen()

    def run(self) -> None:
        """Fork a child for each connection, and reap those that have ended, until the service is to stop."""
        while self._service.wait(self._listener):
            self._reap()
            for connection, peer in self._listener.waiting(self._service.counts):
                self._start_child(connection, peer)
        self._listener.close()
        self._children.end(None if self._pipe is None else self._pipe.collect)

    def _reap(self) -> None:
        if self._pipe is not None:
            self._pipe.collect()
        for slot in self._children.reap():
            self._service.scoreboard.release(slot)

    def _start_child(self, connection: socket.socket, peer: str) -> None:
        """Fork a child for this connection, and let go of our copy of it."""
        slot = -1
        try:
            slot = self._service.scoreboard.claim()
            if self._children.fork(slot):
                exit_after(lambda: self._serve(connection, peer, slot))
        except OSError:  # no more processes may be had: this client is turned away, the others are left to wait
            if slot >= 0:
                self._service.scoreboard.release(slot)
            self._listener.rest()
        if self._closes:
            connection.close()
        else:
            self._forgotten.append(connection)

    def _serve(self, connection: socket.socket, peer: str, slot: int) -> None:
        """The whole life of a child."""
        service = self._service
        counts = service.scoreboard.counts(slot)
        self._listener.close()
        service.become_child(counts, connection)
        session = service.session(peer, counts, None if self._pipe is None else self._pipe.teller())
        converse(connection, session, service.backend(counts))
        connection.close()
        service.log.flush()


def main() -> None:
    """The whole server."""
    service = Service.start()
    parent = Parent(service)
    # Collecting garbage writes into every object's header; a child that did it would copy all the pages that it
    # shares with the parent. Frozen objects are left alone.
    gc.freeze()
    parent.run()
    service.finish()


if __name__ == "__main__":
    main()
