"""Threads that are made ahead: started all or not at all, and ended within the time that the contract allows."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread
from typing import NoReturn

from common.blocking import hang_up, insist
from common.scoreboard import THREADS
from common.service import Service


class Crew:
    """The threads of a process beside its main thread, and the connections that they have now."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._threads: list[Thread] = []
        self._gate = Lock()
        self._connections: set[socket.socket] = set()  # each thread adds and takes out its own

    def add(self, name: str, life: Callable[[], None]) -> None:
        """One more thread, to be started with the others."""

        def live() -> None:
            with self._gate:  # one wakes the next: thousands of threads that wake at once would fight for the GIL
                pass
            life()

        self._threads.append(Thread(target=live, name=name, daemon=True))  # daemon: one that hangs is left behind

    def start(self) -> None:
        """Start them all, or end the process: with fewer threads than it was told to have it is another server.

        None serves before all are there: they are made ahead.
        """
        with self._gate:
            for number, thread in enumerate(self._threads):
                try:
                    thread.start()
                except RuntimeError as error:
                    self._give_up(f"only {number} of {len(self._threads)} threads of a process: {error}")
                self._service.counts[THREADS] += 1

    @contextmanager
    def serving(self, connection: socket.socket) -> Iterator[None]:
        """While a thread serves this connection, which is closed afterwards."""
        self._connections.add(connection)
        try:
            yield
        finally:
            connection.close()
            self._connections.discard(connection)

    def end(self) -> None:
        """Have them all finish. A thread cannot be signalled, but the socket that it sleeps on can be ended.

        Who sleeps on something else than its connection must have been woken before.
        """
        for how in insist():
            if not any(thread.is_alive() for thread in self._threads):
                return
            for connection in tuple(self._connections):
                hang_up(connection, how)

    def _give_up(self, why: str) -> NoReturn:
        sys.stderr.write(f"{self._service.config.model}: {why}; lower `threads`, or raise what the host allows\n")
        os._exit(1)  # not sys.exit: a forked process would go on in what its parent was doing
