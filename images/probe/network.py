"""What happens in a service's network namespace: counters of TCP and of the interfaces, and the queue of its port.

A look costs 0.2 to 0.4 ms, however many connections there are. Whoever shares a namespace shares the reading of it.
"""

import os
import struct
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from probe.diag import LISTENING, SockDiag, is_own
from probe.files import Gone, names, read

_EXTENDED = {
    "ListenOverflows": "listen_overflows",
    "ListenDrops": "listen_drops",
    "TCPReqQFullDrop": "syn_drops",
    "TCPReqQFullDoCookies": "syn_cookies",
}
_PLAIN = {"RetransSegs": "retransmits", "OutRsts": "resets_sent"}
_SOCKETS = {"tw": "time_wait", "orphan": "orphans"}
_QUEUE = struct.Struct("=II")  # of a listener: how many wait, how many may
_QUEUE_AT = 56  # idiag_rqueue, idiag_wqueue
_BYTES_PER_S_PER_MBIT = 125_000

Look = dict[str, int | None]


class Link(NamedTuple):
    """The interfaces that carry the traffic with other hosts."""

    interfaces: Collection[str] | None  # None: all but loopback
    bytes_per_s: int | None  # of the fastest, each way; None where none tells


class Network:
    """The namespace of one process, and the port that it listens on.

    Args:
        proc: where the kernel shows processes.
        pid: the process; `self` is the probe itself.
        port: None: it listens on none.
        interfaces: where the kernel shows those of the probe's own namespace.
    """

    def __init__(self, proc: str, pid: int | str, port: int | None, interfaces: str = "/sys/class/net") -> None:
        self._folder = f"{proc}/{pid}/net"
        self._port = port
        self._namespace = _namespace(proc, pid)
        own = self._namespace is not None and is_own(proc, pid)
        self._link = _link(interfaces) if own else Link(None, None)
        self._kernel = _line_to(proc, pid) if port is not None else None

    def look(self, seen: dict[object, Look]) -> Look | None:
        """What is to be seen now; None where the kernel does not tell its counters, or the process has ended.

        Args:
            seen: what has been read of each namespace in this round of looks; it is added to.
        """
        key = self._folder if self._namespace is None else self._namespace
        if key not in seen:
            seen[key] = {"at_ns": time.monotonic_ns(), **self._counters()}
        counters = seen[key]
        return counters | self._queue() if "listen_overflows" in counters else None

    def _counters(self) -> Look:
        try:
            return {
                **_paired(read(f"{self._folder}/netstat"), b"TcpExt:", _EXTENDED),
                **_paired(read(f"{self._folder}/snmp"), b"Tcp:", _PLAIN),
                **_sockets(read(f"{self._folder}/sockstat")),
                **self._carried(),
            }
        except (Gone, PermissionError, LookupError, ValueError):  # a sandbox shows no such counters, or fewer
            return {}

    def _carried(self) -> Look:
        received, sent = _carried(read(f"{self._folder}/dev"), self._link.interfaces)
        return {"bytes_received": received, "bytes_sent": sent, "link_bytes_per_s": self._link.bytes_per_s}

    def _queue(self) -> Look:
        """Of all listeners of the port together: with SO_REUSEPORT there are several."""
        found: list[tuple[int, int]] = []
        if self._kernel is not None and self._port is not None:
            try:
                answers = self._kernel.sockets(self._port, LISTENING)
                found = [_QUEUE.unpack_from(answer, _QUEUE_AT) for answer in answers]
            except OSError:
                found = []
        waiting, limits = (sum(column) for column in zip(*found, strict=True)) if found else (None, None)
        return {"accept_queue": waiting, "accept_queue_limit": limits}


def _namespace(proc: str, pid: int | str) -> int | None:
    try:
        return os.stat(f"{proc}/{pid}/ns/net").st_ino  # noqa: PTH116
    except OSError:  # this user may not look; its counters may be read all the same
        return None


def _line_to(proc: str, pid: int | str) -> SockDiag | None:
    try:
        return SockDiag(proc, pid)
    except OSError:
        return None


def _paired(content: bytes, start: bytes, wanted: dict[str, str]) -> Look:
    """Of a file that has a line of names, and under it one of numbers.

    Raises:
        LookupError, ValueError: it does not hold all that is wanted.
    """
    header, values = (line.split() for line in content.splitlines() if line.startswith(start))
    found = dict(zip(header, values, strict=True))
    return {ours: int(found[theirs.encode()]) for theirs, ours in wanted.items()}


def _sockets(content: bytes) -> Look:
    words = next((line.split()[1:] for line in content.splitlines() if line.startswith(b"TCP:")), [])
    found = dict(zip(words[::2], words[1::2], strict=True))
    return {ours: int(found[theirs.encode()]) for theirs, ours in _SOCKETS.items()}


def _carried(content: bytes, interfaces: Collection[str] | None) -> tuple[int, int]:
    """Bytes received and sent by these interfaces, or by all but loopback."""
    received = sent = 0
    for line in content.splitlines()[2:]:
        name, _, numbers = line.decode().partition(":")
        if name.strip() in interfaces if interfaces is not None else name.strip() != "lo":
            counts = numbers.split()
            received, sent = received + int(counts[0]), sent + int(counts[8])
    return received, sent


def _link(folder: str) -> Link:
    """The interfaces with hardware behind them; bridges, tunnels and the like would count the same bytes again."""
    try:
        present = names(folder)
    except (Gone, PermissionError):
        return Link(None, None)
    hardware = {name for name in present if Path(folder, name, "device").exists()}
    speeds = list(_speeds(folder, hardware))
    return Link(hardware or None, max(speeds) * _BYTES_PER_S_PER_MBIT if speeds else None)


def _speeds(folder: str, interfaces: Iterable[str]) -> Iterable[int]:
    for name in interfaces:
        try:
            speed = int(read(f"{folder}/{name}/speed"))
        except (Gone, PermissionError, ValueError):  # one that is down refuses to tell
            continue
        if speed > 0:  # virtual ones say -1
            yield speed
