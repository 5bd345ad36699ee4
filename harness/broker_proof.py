"""Proving that a broker takes messages, before it is measured: STOMP 1.2, as far as that takes."""

import contextlib
import socket
import time
from typing import Final

from harness.errors import DeployError
from harness.hosts.connection import Dial, Dialled
from harness.runtime.base import Service
from harness.spec.experiment import Trial
from harness.spec.traffic import MixedRequest

START_DEADLINE_S: Final = 30.0  # a broker in Java loads more than a server that only answers
PATIENCE_S: Final = 5.0
MOST_BYTES: Final = 1 << 16  # of a frame that says yes or no
_OF_CONNECT: Final = frozenset({"login", "passcode", "vhost"})


def prove_broker(service: Service, port: int, trial: Trial, dial: Dial | None = None) -> int:
    """Send a message of each kind until the broker has taken it.

    Args:
        service: the broker.
        port: it listens there.
        trial: what it is to be sent.
        dial: how it is reached; none: directly.

    Returns:
        How many messages it has taken.

    Raises:
        DeployError: it ended, refused, or stayed silent for 30 s; with its last output.
    """
    deadline_s = time.monotonic() + START_DEADLINE_S
    for kind in trial.request.kinds:
        while True:
            try:
                _send(service, port, kind, dial)
                break
            except OSError as error:
                if not service.running():
                    raise DeployError(
                        f"{service.spec.name}: the broker ended before it took a message:\n{service.logs()}"
                    ) from None
                if time.monotonic() > deadline_s:
                    raise DeployError(
                        f"{service.spec.name}: no receipt from {service.address}:{port} within {START_DEADLINE_S:.0f} s"
                        f" ({error}); its last output:\n{service.logs()}"
                    ) from None
                time.sleep(0.02)
    return len(trial.request.kinds)


def _send(service: Service, port: int, kind: MixedRequest, dial: Dial | None) -> None:
    """One message on a connection of its own.

    Raises:
        DeployError: the broker says no.
        OSError: it says nothing.
    """
    headers = kind.headers or {}
    known = {name.lower(): value for name, value in headers.items() if name.lower() in _OF_CONNECT}
    greeting = {"accept-version": "1.2", "host": known.pop("vhost", service.address), "heart-beat": "0,0", **known}
    size = kind.body.bytes if kind.body else 0
    message = {"destination": kind.path or "", "content-length": str(size), "receipt": "proof"}
    message |= {name: value for name, value in headers.items() if name.lower() not in _OF_CONNECT}
    with contextlib.closing(_connected(service.address, port, dial)) as connection:
        connection.settimeout(PATIENCE_S)
        for frame, wanted in (
            (_frame("CONNECT", greeting, 0), b"CONNECTED"),
            (_frame("SEND", message, size), b"RECEIPT"),
        ):
            connection.sendall(frame)
            got = _answer(connection)
            if not got.startswith(wanted + b"\n"):
                said = got.decode(errors="replace")[:400]
                raise DeployError(f"{service.spec.name}: no {wanted.decode()} came for {kind.path}, but: {said}")


def _connected(host: str, port: int, dial: Dial | None) -> Dialled | socket.socket:
    if dial is None:
        return socket.create_connection((host, port), PATIENCE_S)
    return dial(host, port, PATIENCE_S)


def _frame(command: str, headers: dict[str, str], body_bytes: int) -> bytes:
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    return f"{command}\n{lines}\n".encode() + b"x" * body_bytes + b"\0"


def _answer(connection: Dialled | socket.socket) -> bytes:
    """The next frame, without the line ends that may come before it.

    Raises:
        OSError: none comes.
    """
    got = b""
    while b"\0" not in got:
        piece = connection.recv(4096)
        if not piece or len(got) > MOST_BYTES:
            raise ConnectionError("the connection ended within a frame")
        got += piece
    return got.lstrip(b"\r\n").replace(b"\r\n", b"\n")
