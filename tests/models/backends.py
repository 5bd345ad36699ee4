"""A real HTTP server for the servers under test to call, which sees what they do: how many calls at once, on how many connections."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.models.support import PATIENCE_S

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class CalledServer:
    """A thread per connection. What it does with a call may be changed at any time.

    Attributes:
        delay_s: passes before each answer.
        together: calls are answered only once so many have been under way at the same time.
        answer: the bytes of an answer; none: it never comes.
        hangs_up: the connection is closed after each answer, without a word of it.
        calls: so far.
        connections: so far.
        at_once: calls under way now.
        most_at_once: and the most there have been.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.together = 1
        self.answer = _ANSWER
        self.hangs_up = False
        self.calls = self.connections = self.at_once = self.most_at_once = 0
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """As `handler.backend` of a server's configuration."""
        host, port = self._listener.getsockname()
        return {"host": host, "port": port, "timeout_s": timeout_s}

    def stop(self) -> None:
        """Refuse new connections, and close those that are there."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connections that are there."""
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):  # stopped
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.add(connection)
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        with connection, suppress(OSError):
            while data := connection.recv(65_536):
                received += data
                while b"\r\n\r\n" in received:
                    _, _, received = received.partition(b"\r\n\r\n")
                    self._wait_as_told()
                    connection.sendall(self.answer)
                    if self.hangs_up:
                        return
        self._open.discard(connection)

    def _wait_as_told(self) -> None:
        with self._changed:
            self.calls += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most_at_once >= self.together, PATIENCE_S)
        time.sleep(self.delay_s)
        with self._changed:
            self.at_once -= 1


@contextmanager
def called_server() -> Iterator[CalledServer]:
    """One that is stopped at the end."""
    server = CalledServer()
    try:
        yield server
    finally:
        server.stop()
