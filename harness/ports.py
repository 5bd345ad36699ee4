"""TCP ports that services are told to listen on: free ones, of this machine or of a host that is reached from afar."""

import json
import socket
import threading
from collections import deque
from collections.abc import Sequence

from harness.errors import HostError
from harness.hosts.ask import ask
from harness.hosts.connection import Connection

LOOPBACK = "127.0.0.1"
REMEMBERED = 1_024  # ports given last: whoever got one may not listen on it yet, or just no longer
DEADLINE_S = 20.0

FIRST, LAST = 18_000, 18_511
"""Ports of other hosts: below every usual range of ports that connects take theirs from, so that no client holds one."""

# Run by `python3 -c`: which of these ports of this address nobody listens on.
_FREE = """\
import json, socket, sys
address, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
family, free = socket.AF_INET6 if ":" in address else socket.AF_INET, []
for port in range(first, last + 1):
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, port))
        except OSError as error:
            trouble = str(error)
        else:
            free.append(port)
print(json.dumps(free if free else trouble))
"""


class Ports:
    """Gives free ports out. Safe to use from several threads, none of which gets what another has just got."""

    def __init__(self, free: Sequence[int] = ()) -> None:
        """Know which to give out.

        Args:
            free: those of another host, given in turn; none: the kernel of this one is asked each time.
        """
        self._free = deque(free)
        self._given: deque[int] = deque(maxlen=REMEMBERED)
        self._lock = threading.Lock()

    def next(self) -> int:
        """A port that nobody listens on."""
        with self._lock:
            if self._free:
                self._free.rotate(-1)
                return self._free[-1]
            while (port := free_port()) in self._given:
                continue
            self._given.append(port)
            return port


def free_port() -> int:
    """A TCP port of the loopback address that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def ports_of(connection: Connection, address: str) -> Ports:
    """Free ports of an address of another host.

    Args:
        connection: to the host.
        address: one of its own.

    Raises:
        HostError: the host does not answer, or nothing can listen at that address.
    """
    argv = ["python3", "-c", _FREE, address, str(FIRST), str(LAST)]
    told = json.loads(ask(connection, argv, timeout_s=DEADLINE_S))
    if isinstance(told, str):
        raise HostError(
            f"{connection.name}: nothing can listen at {address}, ports {FIRST} to {LAST} ({told}); `data` has to be an"
            " address of that host itself"
        )
    return Ports(told)
