"""A connection from a host to somewhere else, as a socket of this process: for `http.client` and its like."""

import socket

from paramiko import Channel

from harness.readable import Readable


class DialledSocket(Readable):
    """A channel that behaves as a connected socket."""

    def __init__(self, channel: Channel, timeout_s: float) -> None:
        super().__init__()
        self._channel = channel
        channel.settimeout(timeout_s)

    def settimeout(self, timeout_s: float | None) -> None:
        """Bound every further read and write; None: wait for ever."""
        self._channel.settimeout(timeout_s)

    def sendall(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            TimeoutError: nobody takes it.
            OSError: the connection has ended.
        """
        self._channel.sendall(data)

    def recv(self, most: int) -> bytes:
        """What has come, at most so much; nothing where the other side has ended.

        Raises:
            TimeoutError: nothing came in time.
        """
        return self._channel.recv(most)

    def shutdown(self, how: int) -> None:
        """Say that nothing more is sent (or read)."""
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._channel.shutdown_write()
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            self._channel.shutdown_read()

    def _let_go(self) -> None:
        self._channel.close()
