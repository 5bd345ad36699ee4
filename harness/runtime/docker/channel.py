"""A channel of an SSH connection that ends at the Docker engine of the host, as a socket for `http.client`."""

import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

from paramiko import Channel, ChannelException, SSHException, Transport

from harness.errors import RuntimeUnavailable
from harness.readable import Incoming, Readable
from harness.runtime.docker.liveness import ANSWER_S, LIVENESS, SILENCE_S
from harness.runtime.docker.patience import WayLost
from harness.runtime.docker.refusal import refusal
from harness.runtime.docker.streamlocal import PACKET_BYTES, WINDOW_BYTES, open_streamlocal

SOCKET = "/var/run/docker.sock"
COMMAND = "docker system dial-stdio"
BUFFER_BYTES = 1 << 18  # paramiko moves the rest of what has come with every read, so reads are large
SESSIONS_S = 10.0  # how long to ask for a session where a host has as many as it allows
NEXT_TRY_S = 0.1
ENDING_S = 2.0

T = TypeVar("T")


class Road:
    """How the engine of one host is reached over its SSH connection.

    Best through a channel that sshd connects to the engine's socket: nothing is started on the host, and such channels
    are not counted against MaxSessions. Where sshd does not forward, or the engine listens elsewhere, the host's own
    `docker system dial-stdio` reaches it, and says what is wrong if it does not.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.by_command = False

    def open(self, transport: Transport, timeout_s: float | None) -> "EngineSocket":
        """A new connection to the engine.

        Raises:
            WayLost: the SSH connection was lost.
            RuntimeUnavailable: the host opens no further session.
        """
        try:
            with LIVENESS.bounded(transport, ANSWER_S):
                if not self.by_command:
                    with contextlib.suppress(ChannelException):
                        return EngineSocket(
                            self, open_streamlocal(transport, SOCKET, ANSWER_S), timeout_s, by_command=False
                        )
                channel = self._open_session(transport)
                channel.exec_command(COMMAND)
                return EngineSocket(self, channel, timeout_s, by_command=True)
        except (SSHException, OSError, EOFError) as error:
            raise WayLost(f"{self.name}: the SSH connection was lost ({error or type(error).__name__})") from error

    def _open_session(self, transport: Transport) -> Channel:
        until = time.monotonic() + SESSIONS_S
        while True:
            try:
                return transport.open_session(WINDOW_BYTES, PACKET_BYTES, ANSWER_S)
            except ChannelException as error:
                LIVENESS.heard(transport)
                if time.monotonic() >= until:
                    raise RuntimeUnavailable(
                        f"{self.name}: sshd opens no further session ({error.text}); set AllowStreamLocalForwarding yes"
                        " or a higher MaxSessions in its sshd_config"
                    ) from None
            time.sleep(NEXT_TRY_S)


class EngineSocket(Readable):
    """A channel that behaves as a connected socket. It stays open until its readers are closed, too."""

    buffer_bytes = BUFFER_BYTES

    def __init__(self, road: Road, channel: Channel, timeout_s: float | None, *, by_command: bool) -> None:
        super().__init__()
        self._road = road
        self._channel = channel
        self._transport = channel.get_transport()
        self._timeout_s = timeout_s
        self._by_command = by_command
        self._heard = False

    @property
    def connected(self) -> bool:
        """Whether nothing speaks against its being used again."""
        return self._transport.is_active() and not self._channel.closed and not self._channel.eof_received

    def settimeout(self, timeout_s: float | None) -> None:
        """Bound every further wait; None: as long as the SSH connection stands."""
        self._timeout_s = timeout_s

    def gettimeout(self) -> float | None:
        """The bound of a wait."""
        return self._timeout_s

    def fileno(self) -> int:
        """To wait on with `poll`."""
        return self._channel.fileno()

    def sendall(self, data: Any) -> None:  # noqa: ANN401 - any buffer
        """Send all of it.

        Raises:
            TimeoutError: the engine takes nothing any more.
            BrokenPipeError: it has answered and closed before it had all of it; the answer can be read.
            WayLost: the connection was lost.
        """
        view = memoryview(data).cast("B")
        while view:
            try:
                view = view[self._send(bytes(view[:PACKET_BYTES])) :]
            except WayLost as lost:
                if self._transport.is_active() and self._channel.recv_ready():  # as a socket would tell it
                    raise BrokenPipeError(str(lost)) from None
                raise

    def recv(self, most: int) -> bytes:
        """What has come, at most so much; nothing where the engine has ended.

        Raises:
            TimeoutError: nothing came in time.
            WayLost: the connection was lost, or the engine was not reached at all.
            RuntimeUnavailable: it cannot be reached; why, and what to do.
        """
        piece = self._within_time(lambda: self._channel.recv(most))
        if piece:
            if not self._heard:
                self._heard, self._road.by_command = True, self._by_command
            LIVENESS.heard(self._transport)
        elif not self._channel.eof_received or (self._by_command and not self._heard):
            raise self._why_ended()
        return piece

    def _send(self, piece: bytes) -> int:
        def send() -> int:
            waiting = self._channel.out_window_size == 0
            with LIVENESS.bounded(self._transport, ANSWER_S):
                sent = self._channel.send(piece)
            if waiting:  # it was the other side that made room
                LIVENESS.heard(self._transport)
            return sent

        sent = self._within_time(send)
        if sent == 0:
            raise self._why_ended()
        return sent

    def _within_time(self, act: Callable[[], T]) -> T:
        """Do what waits for the other side; where that is silent, see that the connection still stands."""
        began = time.monotonic()
        while True:
            left_s = SILENCE_S if self._timeout_s is None else self._timeout_s - (time.monotonic() - began)
            self._channel.settimeout(max(0.0, min(SILENCE_S, left_s)))
            try:
                return act()
            except TimeoutError:
                if self._timeout_s is not None and time.monotonic() - began >= self._timeout_s:
                    raise
            except (SSHException, OSError, EOFError) as error:
                raise self._why_ended() from error
            try:
                LIVENESS.ask(self._transport)
            except ConnectionResetError as error:
                raise WayLost(f"{self._road.name}: {error}") from None

    def _why_ended(self) -> Exception:
        if not self._transport.is_active():
            return WayLost(f"{self._road.name}: the SSH connection was lost")
        if self._by_command and not self._heard:
            return refusal(self._road.name, *self._last_words())
        return WayLost(f"{self._road.name}: the connection to its Docker engine was lost")

    def _last_words(self) -> tuple[int, str]:
        """Exit status and standard error of the command."""
        self._channel.status_event.wait(ENDING_S)
        self._channel.settimeout(ENDING_S)
        said = b""
        with contextlib.suppress(TimeoutError, OSError):
            while piece := self._channel.recv_stderr(BUFFER_BYTES):
                said += piece
        return self._channel.exit_status, said.decode(errors="replace")

    def _incoming(self) -> Incoming:
        return _EngineIncoming(self)

    def shutdown(self, how: int) -> None:
        """Take nothing more, or send nothing more."""
        with contextlib.suppress(SSHException, OSError, EOFError), LIVENESS.bounded(self._transport, ANSWER_S):
            self._channel.shutdown(how)

    def _let_go(self) -> None:
        with contextlib.suppress(SSHException, OSError, EOFError), LIVENESS.bounded(self._transport, ANSWER_S):
            self._channel.close()


class _EngineIncoming(Incoming):
    """What comes from the engine; and, for the SDK, which looks for it here, the socket."""

    def __init__(self, socket: EngineSocket) -> None:
        super().__init__(socket)
        self.settimeout, self.gettimeout = socket.settimeout, socket.gettimeout
        self.recv, self.sendall = socket.recv, socket.sendall
        self._socket = socket

    def fileno(self) -> int:
        """Of the channel."""
        return self._socket.fileno()
