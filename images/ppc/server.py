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
import os
import signal
import socket
import traceback
from typing import NoReturn

from common.blocking import FINISH, converse, insist
from common.scoreboard import FORKS
from common.service import Service
from common.sockets import Listener

Children = dict[int, int]  # process id: its slot
SIGNALS = {signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD}


def main() -> None:
    """The parent's life."""
    service = Service.start()
    listener = service.listen()
    children: Children = {}
    # Collecting garbage writes into every object's header; a child that did it would copy all the pages that it
    # shares with the parent. Frozen objects are left alone.
    gc.freeze()
    while service.wait(listener):
        reap(service, children)
        for connection, peer in listener.waiting():
            start_child(service, listener, children, connection, peer)
    listener.close()
    end_children(service, children)
    service.finish()


def start_child(service: Service, listener: Listener, children: Children, connection: socket.socket, peer: str) -> None:
    """Fork. No signal is let in until each side knows who it is: none is lost, and none is taken for the other's."""
    slot = -1
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        slot = service.scoreboard.claim()
        pid = os.fork()
        if pid == 0:
            serve_and_exit(service, listener, connection, peer, slot)
        children[pid] = slot
        service.counts[FORKS] += 1
    except OSError:  # no more processes may be had: this client is turned away, the others are left to wait
        if slot >= 0:
            service.scoreboard.release(slot)
        listener.rest()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        connection.close()


def serve_and_exit(service: Service, listener: Listener, connection: socket.socket, peer: str, slot: int) -> NoReturn:
    """The whole life of a child."""
    status = 1
    try:
        listener.close()
        service.become_child(connection)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        converse(connection, service.session(peer, service.scoreboard.counts(slot)))
        connection.close()
        service.log.flush()
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)  # not sys.exit: the parent's loop and its clean-up lie below us on this stack


def reap(service: Service, children: Children) -> None:
    """Take leave of every child that has ended, without waiting for one."""
    while children:
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if pid in children:  # as process 1 of a container we are sent orphans too
            service.scoreboard.release(children.pop(pid))


def end_children(service: Service, children: Children) -> None:
    """Have them all finish, and reap them all.

    A signal that falls between a child's last look and its recv does not wake the recv; so it is sent again.
    """
    for how in insist():
        reap(service, children)
        if not children:
            return
        for pid in children:
            os.kill(pid, signal.SIGTERM if how == FINISH else signal.SIGQUIT)
    for pid, slot in children.items():
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        service.scoreboard.release(slot)


if __name__ == "__main__":
    main()
