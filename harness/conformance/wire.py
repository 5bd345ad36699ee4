"""HTTP byte by byte over a plain socket: no library that would repair or hide what a server does."""

import contextlib
import math
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from harness.conformance.findings import Failed, Gone, Silent, excerpt

PATIENCE_S = 10.0  # for anything more to come; generous, because other work may load the machine
_KEPT_BYTES = 4_096  # of what was sent and received, as evidence
_RECEIVE_BYTES = 1 << 20
_BODILESS = frozenset({204, 304})


class Ended(Gone):
    """The server closed in good order, but too early."""


@dataclass(frozen=True)
class Answer:
    """One response."""

    status: int
    fields: Mapping[str, str]  # by lower-case name; repeated ones joined with a comma
    body: bytes

    def __str__(self) -> str:
        fields = ", ".join(f"{name}: {value}" for name, value in self.fields.items())
        return f"status {self.status} ({fields}), body {excerpt(self.body)}"


class Connection:
    """One connection. Every wait ends at the check's deadline, or when nothing has come or gone for `PATIENCE_S`.

    Args:
        address: of the server.
        until_s: the check's deadline, on the monotonic clock.

    Raises:
        Gone: nobody listens.
        Silent: the connection was not made in time.
    """

    def __init__(self, address: tuple[str, int], until_s: float) -> None:
        self._until_s = until_s
        self._sent = b""
        self._received = b""
        self._buffer = bytearray()
        try:
            self.socket = socket.create_connection(address, max(0.001, self._left_s()))
        except TimeoutError:
            raise Silent(f"no connection to {address[0]}:{address[1]} was made in time") from None
        except OSError as error:
            raise Gone(f"no connection to {address[0]}:{address[1]} can be made: {error}") from None
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            Gone: the server has closed.
            Silent: it does not read.
        """
        self._sent = data[:_KEPT_BYTES] if len(data) > 1 else (self._sent + data)[-_KEPT_BYTES:]
        try:
            self._arm(self._left_s())
            self.socket.sendall(data)
        except TimeoutError:
            self._fail(Silent, "the server stopped reading")
        except OSError as error:
            self._fail(Gone, f"the server cut the connection while it was sent to ({error.strerror})")

    def answer(self, *, to_head: bool = False) -> Answer:
        """The next response.

        Args:
            to_head: it answers a HEAD request, so that no body follows.

        Raises:
            Gone: the server closed before the response was whole.
            Silent: it was not whole in time.
            Failed: it is no HTTP response.
        """
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._more()
        status, fields = self._head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        if to_head or status < 200 or status in _BODILESS:
            return Answer(status, fields, b"")
        return Answer(status, fields, self._body(fields))

    def ask(self, request: bytes, *, to_head: bool = False) -> Answer:
        """Send a request and read its response."""
        self.send(request)
        return self.answer(to_head=to_head)

    def receive(self, size: int) -> bytes:
        """What has come, at most so many bytes; nothing at the end of the stream.

        Raises:
            Gone: the connection was reset.
            Silent: nothing came in time.
        """
        if not self._buffer:
            with contextlib.suppress(Ended):
                self._more(size)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def expect_end(self) -> None:
        """The server closes, with nothing more to say.

        Raises:
            Failed: it says more, or does not close in time.
        """
        try:
            more = self.receive(_RECEIVE_BYTES)
        except Gone:
            return
        except Silent:
            self._fail(Failed, "the server did not close the connection")
        if more:
            raise Failed(f"after {excerpt(self._sent)} the server went on with {excerpt(more)}")

    def is_silent(self, for_s: float) -> bool:
        """Whether nothing comes for a while."""
        with contextlib.suppress(Gone):
            try:
                self._more(for_s=for_s)
            except Silent:
                return not self._buffer
        return False

    def begun(self) -> bytes:
        """What has come of an answer that is not whole."""
        return bytes(self._buffer)

    def stop_sending(self) -> None:
        """Close our half: the server sees the end of the stream."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End it the hard way: the server sees a reset, not an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """End it."""
        self.socket.close()

    def _head(self, head: bytes) -> tuple[int, dict[str, str]]:
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise Failed(f"to {excerpt(self._sent)} came what is no HTTP response: {excerpt(head)}")
        fields: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise Failed(f"to {excerpt(self._sent)} came a response with the field {line[:80]!r}")
            name, value = name.lower(), value.strip()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        return int(rest[:3]), fields

    def _body(self, fields: Mapping[str, str]) -> bytes:
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        length = fields.get("content-length")
        if length is None:
            with contextlib.suppress(Ended):
                while True:
                    self._more()
            return self._take(len(self._buffer))
        if not length.isdigit():
            raise Failed(f"to {excerpt(self._sent)} came a response with Content-Length {length!r}")
        return self._exactly(int(length))

    def _chunks(self) -> bytes:
        body = b""
        while True:
            size = self._line().partition(b";")[0]
            try:
                length = int(size, 16)
            except ValueError:
                self._fail(Failed, f"a chunk of the response has the size {excerpt(size)}")
            if not length:
                while self._line():
                    pass
                return body
            body += self._exactly(length)
            self._line()

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._more()
        return self._take(end + 2)[:-2]

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more(size - len(self._buffer))
        return self._take(size)

    def _take(self, size: int) -> bytes:
        with memoryview(self._buffer) as view:
            data = bytes(view[:size])
        del self._buffer[:size]
        return data

    def _more(self, size: int = _RECEIVE_BYTES, for_s: float = math.inf) -> None:
        try:
            self._arm(min(for_s, self._left_s()))
            data = self.socket.recv(min(max(size, 4_096), _RECEIVE_BYTES))
        except TimeoutError:
            self._fail(Silent, "nothing more came in time")
        except OSError as error:
            self._fail(Gone, f"the server cut the connection ({error.strerror})")
        if not data:
            raise Ended(self._evidence("the server closed the connection"))
        self._buffer += data
        if len(self._received) < _KEPT_BYTES:
            self._received += data[:_KEPT_BYTES]

    def _arm(self, left_s: float) -> None:
        if left_s <= 0:
            raise TimeoutError
        self.socket.settimeout(left_s)

    def _left_s(self) -> float:
        return min(PATIENCE_S, self._until_s - time.monotonic())

    def _fail(self, kind: type[Failed], what: str) -> NoReturn:
        raise kind(self._evidence(what)) from None

    def _evidence(self, what: str) -> str:
        return f"{what}; last sent: {excerpt(self._sent)}; received: {excerpt(self._received)}"
