"""The memory of a server's connections in the kernel, by sock_diag(7), as `ss -tm` shows it."""

import struct
from typing import NamedTuple

from probe.diag import MESSAGE_BYTES, SockDiag
from probe.files import read_or

_MEMORY = 7  # INET_DIAG_SKMEMINFO
_STATES = sum(1 << state for state in (1, 4, 5, 8, 9, 11))  # all that may have data; no listener, no TIME_WAIT
_INODE_AT = 68
_ATTRIBUTE = struct.Struct("=HH")
_MEMORY_INFO = struct.Struct("=8I")  # rmem_alloc, rcvbuf, wmem_alloc, sndbuf, fwd_alloc, wmem_queued, optmem, backlog

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
        pid: a process of the server: its sockets are seen only in its own network namespace.
        port: that it listens on.
    """
    try:
        with SockDiag(proc, pid) as kernel:
            answers = list(kernel.sockets(port, _STATES, extensions=1 << _MEMORY - 1))
    except OSError:  # the process has ended, this user may not, or the kernel has no sock_diag
        return None
    found = [
        _memory(answer[MESSAGE_BYTES:])
        for answer in answers
        if int.from_bytes(answer[_INODE_AT:MESSAGE_BYTES], "little")
    ]
    return Held(len(found), sum(queued for queued, _ in found), sum(reserved for _, reserved in found))


def structure_bytes(slabinfo: str) -> int | None:
    """The kernel's own structures of one connection; None where only root may see their sizes."""
    sizes = {}
    for line in read_or(slabinfo, b"").splitlines():
        name, *numbers = line.split()
        if name in _STRUCTURES:
            sizes[name] = int(numbers[2])
    return sum(sizes.values()) if len(sizes) == len(_STRUCTURES) else None


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
