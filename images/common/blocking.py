"""A session on a blocking socket: what a process or a thread does for the one connection it has."""

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Final

from common.backend import Backend
from common.session import Session
from common.sockets import RECEIVE_BYTES

FINISH: Final = socket.SHUT_RD  # answer what has been received, then end
ABORT: Final = socket.SHUT_RDWR  # end now
LINGER_S: Final = 1.0
FINISH_S: Final = 3.0  # then what is unsent stays unsent; the contract allows 5 s for everything

_GIVE_UP_S: Final = 4.0
_PAUSES_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


def converse(connection: socket.socket, session: Session, backend: Backend | None = None) -> None:
    """Receive, answer, send, until one side is done with it. The caller still owns the socket, and closes it."""
    with contextlib.suppress(OSError):  # the client has gone: nobody is left to be told
        while data := connection.recv(RECEIVE_BYTES):
            if answer := session.receive(data):
                connection.sendall(answer)
            while session.behind or session.asking:
                connection.sendall(_go_on(session, backend))
            if session.closing:
                break
        if session.lingering:
            _linger(connection)


def _go_on(session: Session, backend: Backend | None) -> bytes:
    """The next answers, of requests that are there already."""
    if session.asking:
        return session.resume(backend is not None and backend.ask())
    return session.receive(b"")


def _linger(connection: socket.socket) -> None:
    """Let the client stop sending before the socket is closed.

    Closing a socket with unread data resets the connection, and a reset destroys an answer that the client has
    not read yet (RFC 9112, 9.6). So: say that nothing more comes, and read away what does, for a limited time.
    """
    connection.shutdown(socket.SHUT_WR)
    deadline_s = time.monotonic() + LINGER_S
    while (left_s := deadline_s - time.monotonic()) > 0:
        connection.settimeout(left_s)
        if not connection.recv(RECEIVE_BYTES):
            return


def hang_up(connection: socket.socket, how: int) -> None:
    """Make the process or thread that is blocked on this socket go on: `FINISH` or `ABORT`.

    After `FINISH` recv still returns what had arrived, then the end of the stream, now and ever after; so it does
    not matter whether the owner was waiting already or only about to.
    """
    with contextlib.suppress(OSError):  # already closed, by either side
        connection.shutdown(how)


def insist() -> Iterator[int]:
    """How to end what is still there, again and again until the time is up: `FINISH` at first, `ABORT` later."""
    start_s = time.monotonic()
    turn = 0
    while (elapsed_s := time.monotonic() - start_s) < _GIVE_UP_S:
        yield FINISH if elapsed_s < FINISH_S else ABORT
        time.sleep(_PAUSES_S[min(turn, len(_PAUSES_S) - 1)])
        turn += 1
