"""What HAProxy reports of its servers as it happens: its log of state changes, at a socket of this process.

No request is logged, so nothing comes here but a server that is taken for down, or up again: exact to the fraction of a
millisecond, and without a poll.
"""

import re
import socket
import time
from typing import Any, Final

from haproxy.template import BACK

_CHANGE: Final = re.compile(rf"Server {BACK}/(?P<server>\S+) is (?P<state>UP|DOWN)\b(?:, reason: (?P<why>.*))?")
_AFTER: Final = re.compile(r", check duration: .*|\. \d+ active and .*", re.DOTALL)


class Journal:
    """The events so far."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._socket.bind(path)
        self.events: list[dict[str, Any]] = []

    def fileno(self) -> int:
        """Readable when there is news."""
        return self._socket.fileno()

    def read(self) -> None:
        """Take in what has come."""
        while True:
            try:
                said = self._socket.recv(4096)
            except BlockingIOError:
                return
            if (event := event_of(said.decode(errors="replace"))) is not None:
                self.events.append({"at_ns": time.monotonic_ns(), **event})


def event_of(line: str) -> dict[str, str] | None:
    """The server that a line of the log is about, its new state and why; None where it is about something else."""
    found = _CHANGE.search(line)
    if found is None:
        return None
    why = _AFTER.sub("", found["why"] or "").strip()
    return {"server": found["server"], "state": found["state"].lower(), "why": why}
