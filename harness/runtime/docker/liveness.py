"""Whether an SSH connection still stands. paramiko itself never gives up on a peer that says nothing.

A write into a full socket, and a wait for data, last until the connection is closed from this side. So whatever may
block there is bounded here, and a connection that gives no sign of life is closed: its users are told, and connect anew.
"""

import contextlib
import threading
import time
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from paramiko import Transport

SILENCE_S = 5.0
"""After so long without a byte a reader asks whether the other side is still there."""

ANSWER_S = 15.0
"""How long an answer to that may take, and any single write: a slow line with full buffers has to have its chance."""

LOOK_S = 0.5
KEEPALIVE = "keepalive@openssh.com"  # unknown to servers on purpose: they answer it with a refusal, which is an answer


class Liveness:
    """Of all connections of this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[object, tuple[float, Transport]] = {}
        self._watching = False
        self._heard: WeakKeyDictionary[Transport, float] = WeakKeyDictionary()
        self._asking: WeakKeyDictionary[Transport, threading.Lock] = WeakKeyDictionary()

    def heard(self, transport: Transport) -> None:
        """Something came from the other side just now."""
        self._heard[transport] = time.monotonic()

    def ask(self, transport: Transport) -> None:
        """Have the other side answer, unless it was heard a moment ago; threads share the question.

        Raises:
            ConnectionResetError: it does not; the connection is closed.
        """
        with self._lock:
            asking = self._asking.setdefault(transport, threading.Lock())
        with asking:
            if time.monotonic() - self._heard.get(transport, 0.0) >= SILENCE_S:
                with self.bounded(transport, ANSWER_S):
                    transport.global_request(KEEPALIVE, wait=True)
                if transport.is_active():
                    self.heard(transport)
        if not transport.is_active():
            raise ConnectionResetError("the SSH connection was lost")

    @contextlib.contextmanager
    def bounded(self, transport: Transport, timeout_s: float) -> Iterator[None]:
        """What is done within is ended by closing the connection, once it takes too long and nothing else is heard."""
        token = object()
        with self._lock:
            self._due[token] = (time.monotonic() + timeout_s, transport)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="liveness of SSH", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._due.pop(token, None)

    def _watch(self) -> None:
        """Look now and then, as long as there is something to look after."""
        while True:
            time.sleep(LOOK_S)
            with self._lock:
                if not self._due:
                    self._watching = False
                    return
                late = {transport for due, transport in self._due.values() if self._dead(due, transport)}
            for transport in late:  # closing waits for the connection's own thread
                threading.Thread(target=transport.close, daemon=True).start()

    def _dead(self, due: float, transport: Transport) -> bool:
        now = time.monotonic()
        return now >= due and now - self._heard.get(transport, 0.0) >= SILENCE_S


LIVENESS = Liveness()
