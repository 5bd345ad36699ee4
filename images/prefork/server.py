"""Prefork: worker processes are made ahead, and each accepts for itself, serves one connection to its end, and accepts anew.

Who owns what:
- The main process owns the listening sockets and serves nothing. It replaces workers that die.
- A worker has a copy of its listening socket, and owns the one connection that it has accepted.
- While all workers are busy, connections wait in the kernel's queue. A worker accepts one at a time: what it took
  beyond that would wait for it alone, while others are idle.

Who wakes when a connection comes, by the option `accept`:
- `blocking`: one. All sleep in accept(2) of the shared socket, and the kernel wakes the one that has slept longest.
- `epoll`: all that are idle, the thundering herd. Each has an epoll of its own, made after the fork, and each epoll
  reports the shared socket; one wins, the others find nothing (EAGAIN) or go back to sleep within epoll_wait.
- `epoll-exclusive`: one, seldom more (EPOLLEXCLUSIVE).
- `reuseport`: one, because each waits on a socket of its own. Who it is the kernel says by a hash when the connection
  comes, so a connection may wait for a busy worker while others are idle. It would be lost with its socket: Linux
  resets what waits in the queue of a listening socket when its last descriptor is closed (unless the sysctl
  net.ipv4.tcp_migrate_req is set). So the main process owns all the sockets, and a replacement takes over its
  predecessor's, with all that waits there.
"""

import gc
import select
import socket
from collections.abc import Iterator, Sequence
from typing import Final

from common.backend import Backend
from common.ballast import hold_ballast
from common.blocking import FINISH, converse, hang_up
from common.family import Family
from common.scoreboard import WAKEUPS, Counts
from common.service import Service
from common.sockets import Listener

HOW_EPOLL_WAKES: Final = {"epoll": select.EPOLLIN, "epoll-exclusive": select.EPOLLIN | select.EPOLLEXCLUSIVE}


def main() -> None:
    """The main process's life."""
    service = Service.start()
    number, accept = service.option("workers", int), service.option("accept", str)
    _ballast = hold_ballast(service)
    listeners = service.listen_apart(number if accept == "reuseport" else 1, blocking=accept not in HOW_EPOLL_WAKES)

    def life(slots: Sequence[int]) -> None:
        own = listeners[service.scoreboard.workers.index(slots[0]) % len(listeners)]
        for listener in listeners:
            if listener is not own:
                listener.close()
        work(service, own, accept, slots[0])

    family = Family(service, number, 1, life)
    gc.freeze()  # a worker that collected what it shares with the main process would copy the pages it lies in
    family.run()
    for listener in listeners:
        listener.shut_down()  # wakes who sleeps in accept, and who is only about to
    family.end()
    service.finish()


def work(service: Service, listener: Listener, accept: str, slot: int) -> None:
    """The whole life of a worker."""
    counts = service.scoreboard.counts(slot)
    service.become_worker(counts)
    backend = service.backend(counts)
    for _ in wakeups(service, listener, accept):
        accepted = listener.accept_one(counts)
        counts[WAKEUPS] += 1
        if accepted is not None:
            serve(service, *accepted, counts, backend)
    service.log.flush()


def serve(service: Service, connection: socket.socket, peer: str, counts: Counts, backend: Backend | None) -> None:
    """One connection, to its end. A signal to stop ends it earlier."""
    service.connection = connection
    if service.stopping:  # the signal came between accept and here
        hang_up(connection, FINISH)
    converse(connection, service.session(peer, counts), backend)
    service.connection = None
    connection.close()


def wakeups(service: Service, listener: Listener, accept: str) -> Iterator[None]:
    """One for each time that it is worth trying to accept, until the service is to stop."""
    epoll = None
    if accept in HOW_EPOLL_WAKES:
        epoll = select.epoll()
        epoll.register(listener, HOW_EPOLL_WAKES[accept])
        epoll.register(service, select.EPOLLIN)  # signals, which are to stop and nothing else
    while not (service.stopping or listener.ended):
        if rest_s := listener.rest_left_s():
            service.sleep(rest_s)
            continue
        if epoll is not None:
            epoll.poll()
        yield


if __name__ == "__main__":
    main()
