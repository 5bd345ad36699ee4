"""Tiny servers, each wrong or slow in one known way. They run in threads of the test, on a free port of loopback."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Serve = Callable[[socket.socket], None]
Make = Callable[["Server"], Serve]

OK_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CLOSE_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


@dataclass
class Server:
    """A running server; `serve` gets each connection, in a thread of its own or one of a pool."""

    serve: Serve
    workers: int | None = None  # None: a thread per connection
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None  # None: plain http
    port: int = 0
    accepted: int = 0
    requests: int = 0  # counted by the helpers below, under the lock
    lock: threading.Lock = field(default_factory=threading.Lock)
    _open: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/"

    def start(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family, backlog=1024)
        self.port = self._listener.getsockname()[1]
        for _ in range(self.workers or 1):
            threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Stop listening and cut every connection off, as a killed process would."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self.lock:
            for connection in self._open:  # the thread that reads it wakes up and closes it
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def count(self) -> int:
        """One more request has been read; its number, from 1."""
        with self.lock:
            self.requests += 1
            return self.requests

    @property
    def open_connections(self) -> int:
        with self.lock:
            return len(self._open)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self.lock:
                self.accepted += 1
                self._open.append(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.workers is None:
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()
            else:
                self._handle(connection)

    def _handle(self, accepted: socket.socket) -> None:
        connection = accepted
        with suppress(OSError):
            if self.tls is not None:
                connection = self.tls.wrap_socket(accepted, server_side=True)
            self.serve(connection)
        with self.lock:
            self._open.remove(accepted)
            connection.close()


@contextmanager
def running(make: Make, **options: object) -> Iterator[Server]:
    """A server whose `serve` is made by `make(server)`, until the end of the block."""
    server = Server(lambda _: None, **options)  # type: ignore[arg-type]
    server.serve = make(server)
    server.start()
    try:
        yield server
    finally:
        if server._listener.fileno() >= 0:
            server.stop()


def requests_of(connection: socket.socket) -> Iterator[bytes]:
    """Each request of a connection, head and body, until it ends."""
    buffer = b""
    while True:
        while b"\r\n\r\n" not in buffer:
            data = connection.recv(65536)
            if not data:
                return
            buffer += data
        head, _, rest = buffer.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
        while len(rest) < length:
            rest += connection.recv(65536)
        yield head + b"\r\n\r\n" + rest[:length]
        buffer = rest[length:]


def answering(response: bytes, *, then_close: bool = False, delay_s: float = 0.0) -> Make:
    """Serve every request with the same bytes, after a delay; close after the first if asked."""

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for _ in requests_of(connection):
                server.count()
                if delay_s:
                    threading.Event().wait(delay_s)
                connection.sendall(response)
                if then_close:
                    return

        return serve

    return make


def resetting(server: Server) -> Serve:
    """Answer every request with a reset."""

    def serve(connection: socket.socket) -> None:
        for _ in requests_of(connection):
            server.count()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return

    return serve


def silent(server: Server) -> Serve:
    """Read and never answer."""

    def serve(connection: socket.socket) -> None:
        for _ in requests_of(connection):
            server.count()

    return serve
