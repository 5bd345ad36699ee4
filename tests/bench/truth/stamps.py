"""The stamping server: notes when each request arrives, by a loop that never sleeps.

`python -m tests.bench.truth.stamps PORT FILE` polls on a core of its own, so a stamp is a microsecond or two after the request lay in the
socket: on loopback the kernel puts it there within the client's own send. On SIGTERM it writes the stamps (CLOCK_MONOTONIC, ns) to FILE.
"""

import json
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.bench.beside import DEADLINE_S, await_port, free_port

ROOT = Path(__file__).resolve().parents[3]
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class StampServer:
    """One that serves."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, path: Path) -> None:
        self.port = port
        self._process = process
        self._path = path

    def stop(self) -> list[int]:
        """End it; when each request arrived, in their order."""
        self._process.terminate()
        self._process.wait(DEADLINE_S)
        stamps: list[int] = json.loads(self._path.read_text())
        return stamps


@contextmanager
def stamping(core: int) -> Iterator[StampServer]:
    """A stamping server on a core."""
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        port, path = free_port(), Path(name) / "stamps.json"
        command = ["taskset", "-c", str(core), sys.executable, "-m", "tests.bench.truth.stamps", str(port), str(path)]
        with subprocess.Popen(command, cwd=ROOT) as process:
            try:
                await_port(port)
                yield StampServer(process, port, path)
            finally:
                process.kill()


def serve(port: int) -> list[int]:
    """Answer until SIGTERM; when each request arrived."""
    stamps: list[int] = []
    stopping: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, stop)
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    listener.setblocking(False)
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    while not stopping:
        for descriptor, _ in epoll.poll(0):
            if descriptor == listener.fileno():
                accepted, _ = listener.accept()
                connections[accepted.fileno()] = accepted
                epoll.register(accepted, select.EPOLLIN)
            elif not _answer(connections[descriptor], stamps):
                connections.pop(descriptor).close()
    return stamps


def _answer(connection: socket.socket, stamps: list[int]) -> bool:
    """Take the one request that lies there, which is whole; whether the connection is still open."""
    at_ns = time.monotonic_ns()
    try:
        asked = connection.recv(65_536)
    except OSError:
        return False
    if asked:
        stamps.append(at_ns)
        connection.sendall(_ANSWER)
    return bool(asked)


def main(arguments: Sequence[str]) -> int:
    """Serve, and write the stamps."""
    port, path = arguments
    stamps = serve(int(port))
    Path(path).write_text(json.dumps(stamps))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
