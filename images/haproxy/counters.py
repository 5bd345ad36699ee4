"""HAProxy's statistics, asked for over its admin socket (`show stat`, CSV)."""

import csv
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from haproxy.template import BACK, FRONT

Row = Mapping[str, str]
Mark = dict[str, Any]

_DEADLINE_S: Final = 5.0  # a saturated HAProxy answers between two turns of its loop, within milliseconds
_SERVER_COUNTS: Final = {
    "connections": "stot",
    "opened": "connect",
    "reused": "reuse",
    "connections_now": "scur",
    "connections_most": "smax",
    "queue_most": "qmax",
    "connect_errors": "econ",
    "response_errors": "eresp",
    "retries": "wretr",
    "redispatches": "wredis",
    "checks_failed": "chkfail",
    "times_down": "chkdown",
    "down_s": "downtime",
    "bytes_in": "bin",
    "bytes_out": "bout",
}
"""Key of a server in a mark: HAProxy's own name of it."""


class Counters:
    """Asks a running HAProxy."""

    def __init__(self, admin: str, mode: str) -> None:
        self._admin = admin
        self._mode = mode

    def command(self, text: str) -> str:
        """What it answers to a command.

        Raises:
            OSError: it does not answer.
        """
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(_DEADLINE_S)
            asked.connect(self._admin)
            asked.sendall(f"{text}\n".encode())
            answer = bytearray()
            while some := asked.recv(1 << 16):
                answer += some
        return answer.decode()

    def rows(self) -> list[Row]:
        """A row of the statistics per frontend, backend and server.

        Raises:
            OSError: it does not answer.
        """
        return list(csv.DictReader(self.command("show stat").removeprefix("# ").splitlines()))

    def states(self) -> dict[str, tuple[str, str]]:
        """State and last check of each server, in HAProxy's words.

        Raises:
            OSError: it does not answer.
        """
        return {row["svname"]: (row["status"], row["check_status"]) for row in _servers(self.rows())}

    def mark(self) -> Mark:
        """All counters at this instant.

        Raises:
            OSError: it does not answer.
        """
        at_ns, rows = time.monotonic_ns(), self.rows()
        front = next(row for row in rows if (row["pxname"], row["svname"]) == (FRONT, "FRONTEND"))
        back = next(row for row in rows if (row["pxname"], row["svname"]) == (BACK, "BACKEND"))
        return {
            "at_ns": at_ns,
            "connections": _number(front, "stot"),
            "requests": self._requests(front),
            "connections_now": _number(front, "scur"),
            "connections_most": _number(front, "smax"),
            "queued_now": _number(back, "qcur"),
            "queue_most": _number(back, "qmax"),
            "servers": [self._server(row) for row in _servers(rows)],
        }

    def limit(self) -> int:
        """Most connections that its frontend takes.

        Raises:
            OSError: it does not answer.
        """
        return next(_number(row, "slim") for row in self.rows() if row["svname"] == "FRONTEND")

    def version(self) -> str:
        """Of HAProxy.

        Raises:
            OSError: it does not answer.
        """
        lines = (line.partition(": ") for line in self.command("show info").splitlines())
        return next(value for name, _, value in lines if name == "Version")

    def _server(self, row: Row) -> Mark:
        counts = {name: _number(row, own) for name, own in _SERVER_COUNTS.items()}
        return {"name": row["svname"], "state": row["status"], "requests": self._requests(row), **counts}

    def _requests(self, row: Row) -> int | None:
        """By connection it knows of none, and says 0."""
        return _number(row, "req_tot") if self._mode == "http" else None


def _servers(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["pxname"] == BACK and row["svname"] != "BACKEND"]


def _number(row: Row, name: str) -> int:
    return int(row[name] or 0)
