"""A tiny STOMP server, for faults that no real broker makes on request."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.client.servers import Make, Serve, Server

CONNECTED = b"CONNECTED\nversion:1.2\nserver:tiny\n\n\0\n"


@dataclass(frozen=True)
class Sent:
    """A frame of the client's."""

    command: bytes
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def receipt(self) -> bytes:
        return b"RECEIPT\nreceipt-id:" + self.headers[b"receipt"] + b"\n\n\0"


def frames_of(connection: socket.socket) -> Iterator[Sent]:
    """Each frame of a connection, until it ends. As strict as the tests need: it reads what the client writes."""
    buffer = b""
    while True:
        while b"\n\n" not in buffer:
            if not (data := connection.recv(65536)):
                return
            buffer += data
        head, _, rest = buffer.partition(b"\n\n")
        command, *lines = head.split(b"\n")
        headers: dict[bytes, bytes] = dict(line.split(b":", 1) for line in lines)
        length = int(headers.get(b"content-length", 0))
        while len(rest) <= length:
            rest += connection.recv(65536)
        assert rest[length : length + 1] == b"\0"
        yield Sent(command, headers, rest[:length])
        buffer = rest[length + 1 :]


def stomping(answer: Callable[[socket.socket, Sent], None], *, connected: bytes = CONNECTED) -> Make:
    """Take every connection with these bytes, then answer each frame that it sends; `Server.requests` counts SENDs."""

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            frames = frames_of(connection)
            next(frames)
            connection.sendall(connected)
            for frame in frames:
                if frame.command == b"SEND":
                    server.count()
                answer(connection, frame)

        return serve

    return make


def receipts(connection: socket.socket, frame: Sent) -> None:
    """Answer each frame with its receipt."""
    connection.sendall(frame.receipt)
