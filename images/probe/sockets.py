"""The memory of a server's connections in the kernel, by sock_diag(7), as `ss -tm` shows it."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from probe.files import read_or

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_DONE, _ERROR = 3, 2  # NLMSG_DONE, NLMSG_ERROR
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_MEMORY = 7  # INET_DIAG_SKMEMINFO
_STATES = sum(1 << state for state in (1, 4, 5, 8, 9, 11))  # all that may have data; no listener, no TIME_WAIT
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI2s2s44x")
_ANSWER_BYTES = 72  # struct inet_diag_msg
_INODE_AT = 68
_ATTRIBUTE = struct.Struct("=HH")
_MEMORY_INFO = struct.Struct("=8I")  # rmem_alloc, rcvbuf, wmem_alloc, sndbuf, fwd_alloc, wmem_queued, optmem, backlog
_DEADLINE_S = 5.0
_ANSWERS_BYTES = 1 << 18

_STRUCTURES = (b"TCP", b"sock_inode_cache", b"filp", b"dentry")
"""Of each connection the kernel keeps one of these, besides what is queued in it."""


class Held(NamedTuple):
    """Connections that processes hold, and their memory."""

    connections: int
    queued_bytes: int  # received and not read, sent and not acknowledged: with the kernel's own overhead (truesize)
    reserved_bytes: int  # set aside for more of it: counted against limits, and no memory yet


def held(proc: str, pid: int, port: int) -> Held | None:
    """The accepted connections of a server by its port; None where they cannot be seen from here.

    A connection that nobody has accepted, or whose last descriptor is closed, is held by no process, and not counted.

    Args:
        proc: where the kernel shows processes.
        pid: a process of the server: its sockets are seen only from its own network namespace.
        port: that it listens on.
    """
    try:
        if Path(f"{proc}/{pid}/ns/net").stat().st_ino != Path(f"{proc}/self/ns/net").stat().st_ino:
            return None
        found = [answer for family in (socket.AF_INET, socket.AF_INET6) for answer in _dump(family, port)]
    except OSError:  # the process has ended, this user may not, or the kernel has no sock_diag
        return None
    return Held(len(found), sum(queued for queued, _ in found), sum(reserved for _, reserved in found))


def structure_bytes(slabinfo: str) -> int | None:
    """The kernel's own structures of one connection; None where only root may see their sizes."""
    sizes = {}
    for line in read_or(slabinfo, b"").splitlines():
        name, *numbers = line.split()
        if name in _STRUCTURES:
            sizes[name] = int(numbers[2])
    return sum(sizes.values()) if len(sizes) == len(_STRUCTURES) else None


def _dump(family: int, port: int) -> Iterator[tuple[int, int]]:
    """Memory of each held connection of a local port: queued and reserved."""
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << _MEMORY - 1, _STATES, port.to_bytes(2, "big"), b"")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as kernel:
        kernel.settimeout(_DEADLINE_S)
        kernel.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, 1, 0) + request)
        while True:
            for kind, content in _messages(kernel.recv(_ANSWERS_BYTES)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(-int.from_bytes(content[:4], "little", signed=True), "sock_diag")
                if int.from_bytes(content[_INODE_AT:_ANSWER_BYTES], "little"):
                    yield _memory(content[_ANSWER_BYTES:])


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[length + 3 & ~3 :]


def _memory(attributes: bytes) -> tuple[int, int]:
    """Of one connection, in bytes: what is queued (received, to be sent, options, backlog), and what is reserved."""
    while len(attributes) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(attributes)
        if kind == _MEMORY:
            received, _, _, _, reserved, to_send, options, backlog = _MEMORY_INFO.unpack_from(
                attributes, _ATTRIBUTE.size
            )
            return received + to_send + options + backlog, reserved
        attributes = attributes[length + 3 & ~3 :]
    return 0, 0
