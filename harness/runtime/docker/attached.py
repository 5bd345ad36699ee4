"""Standard input and output of a container that runs, as a conversation in lines."""

import contextlib
import struct
import time
from typing import Any

import docker

FRAME = struct.Struct(">BxxxL")  # which stream, how many bytes
STDOUT = 1


class Attached:
    """A conversation with a container that was created with `stdin_open` and without a terminal.

    It costs the engine no process, where a file that is put into a container costs one.
    """

    def __init__(self, client: docker.DockerClient, container_id: str) -> None:
        """Begin it.

        Raises:
            Exception: one of `FAILURES`.
        """
        self._raw: Any = client.api.attach_socket(container_id, {"stdin": 1, "stdout": 1, "stream": 1})
        self._socket: Any = getattr(self._raw, "_sock", self._raw)  # under the local engine's reader, which only reads
        self._said = b""

    def ask(self, line: str, timeout_s: float) -> str:
        """Say a line, and return the line that comes next.

        Raises:
            TimeoutError: none came in time.
            EOFError: the container has ended.
            Exception: one of `FAILURES`.
        """
        deadline = time.monotonic() + timeout_s
        self._socket.settimeout(timeout_s)
        self._socket.sendall(f"{line}\n".encode())
        while b"\n" not in self._said:
            stream, size = FRAME.unpack(self._exactly(FRAME.size, deadline))
            piece = self._exactly(size, deadline)
            self._said += piece if stream == STDOUT else b""
        answer, _, self._said = self._said.partition(b"\n")
        return answer.decode(errors="replace")

    def close(self) -> None:
        """End it; the container notices nothing."""
        with contextlib.suppress(OSError):
            self._raw._response.close()  # where the SDK keeps it, with all that it holds open

    def _exactly(self, size: int, deadline: float) -> bytes:
        data = b""
        while len(data) < size:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("no answer")
            self._socket.settimeout(left_s)
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise EOFError("it has ended")
            data += piece
        return data
