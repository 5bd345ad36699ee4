"""TLS over a connection that is no socket of this process: to a server that is reached by its host's own way."""

import contextlib
import ssl
from collections.abc import Callable
from typing import TypeVar

from harness.hosts.connection import Dialled
from harness.readable import Readable

PIECE_BYTES = 1 << 16
_T = TypeVar("_T")


class TlsDialled(Readable):
    """An encrypted connection on a dialled one, for `http.client`."""

    def __init__(self, dialled: Dialled, context: ssl.SSLContext, server_name: str) -> None:
        """Make the handshake; what is below is closed where it fails.

        Args:
            dialled: connected; its own time-out bounds every wait.
            context: what is asked of the certificate.
            server_name: as the URL says it.

        Raises:
            TimeoutError: the server says nothing.
            OSError: it speaks no TLS, or its certificate is not trusted (`ssl.SSLError`).
        """
        super().__init__()
        self._below = dialled
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=server_name)
        try:
            self._carried_out(self._tls.do_handshake)
        except BaseException:
            dialled.close()
            raise

    def settimeout(self, timeout_s: float | None) -> None:
        """Bound every further read and write; None: wait for ever."""
        self._below.settimeout(timeout_s)

    def sendall(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            TimeoutError: nobody takes it.
            OSError: the connection has ended.
        """
        self._carried_out(lambda: self._tls.write(data))  # in one go: it is written to memory

    def recv(self, most: int) -> bytes:
        """What has come, at most so much; nothing where the other side has ended, properly or not, as of a TLS socket.

        Raises:
            TimeoutError: nothing came in time.
        """
        try:
            return self._carried_out(lambda: self._tls.read(most))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _carried_out(self, step: Callable[[], _T]) -> _T:
        """Take a step of TLS, with whatever it wants to read first, and send what it has to say."""
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                self._send()
                piece = self._below.recv(PIECE_BYTES)
                self._came.write(piece) if piece else self._came.write_eof()
            except ssl.SSLError:
                with contextlib.suppress(OSError):  # the server may hear why; what is raised is the reason itself
                    self._send()
                raise
            else:
                self._send()
                return done

    def _send(self) -> None:
        if data := self._goes.read():
            self._below.sendall(data)

    def _let_go(self) -> None:
        self._below.close()
