"""Asking the kernel for the TCP sockets of a port, by sock_diag(7): as `ss` does, with the sorting out done in the kernel.

/proc/net/tcp would tell the same, but walks every bucket of the host's table of connections: milliseconds for each look.
"""

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

LISTENING = 1 << 10  # a set of states: TCP_LISTEN
FAMILIES = (socket.AF_INET, socket.AF_INET6)
MESSAGE_BYTES = 72  # struct inet_diag_msg, with which an answer begins

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_DONE, _ERROR = 3, 2  # NLMSG_DONE, NLMSG_ERROR
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI2s2s44x")
_DEADLINE_S = 5.0
_ANSWERS_BYTES = 1 << 18


class SockDiag:
    """A line to the kernel about the sockets of one network namespace. Close it, or use it in a `with` statement.

    A netlink socket stays in the namespace in which it was made. So a thread of its own enters a foreign one, makes the
    socket, and ends; nobody else has to leave his place.

    Raises:
        OSError: the process has ended; this user may not enter its namespace (CAP_SYS_ADMIN); there is no sock_diag.
    """

    def __init__(self, proc: str, pid: int | str) -> None:
        self._asked = 0
        if is_own(proc, pid):
            self._socket = _netlink()
        else:
            with ThreadPoolExecutor(1) as thread:
                self._socket = thread.submit(_netlink_in, f"{proc}/{pid}/ns/net").result()

    def __enter__(self) -> "SockDiag":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()

    def sockets(self, port: int, states: int, extensions: int = 0) -> Iterator[bytes]:
        """Those of a local port, IPv4 and IPv6: of each an inet_diag_msg and its attributes.

        Args:
            port: the local one.
            states: set of TCP states, bit by bit.
            extensions: what else is asked for, bit by bit.

        Raises:
            OSError: the kernel refuses, or does not answer in time.
        """
        for family in FAMILIES:
            yield from self._dump(family, port, states, extensions)

    def _dump(self, family: int, port: int, states: int, extensions: int) -> Iterator[bytes]:
        self._asked += 1
        request = _REQUEST.pack(family, socket.IPPROTO_TCP, extensions, states, port.to_bytes(2, "big"), b"")
        self._socket.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, self._asked, 0) + request)
        while True:
            for kind, asked, content in _messages(self._socket.recv(_ANSWERS_BYTES)):
                if asked != self._asked:  # the rest of an answer that was given up
                    continue
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(-int.from_bytes(content[:4], "little", signed=True), "sock_diag")
                yield content


def is_own(proc: str, pid: int | str) -> bool:
    """Whether a process has its network where this one has it.

    Raises:
        OSError: it has ended, or this user may not look.
    """
    return os.stat(f"{proc}/{pid}/ns/net").st_ino == os.stat(f"{proc}/self/ns/net").st_ino  # noqa: PTH116


def _netlink() -> socket.socket:
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)
    kernel.settimeout(_DEADLINE_S)
    return kernel


def _netlink_in(namespace: str) -> socket.socket:
    """For a thread that ends with it: it stays in the namespace."""
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)  # os.setns is there from Python 3.12 on
        if libc.setns(descriptor, _NEW_NETWORK) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
        return _netlink()
    finally:
        os.close(descriptor)


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Kind, number of the question, and content."""
    while data:
        length, kind, _, asked, _ = _HEADER.unpack_from(data)
        yield kind, asked, data[_HEADER.size : length]
        data = data[length + 3 & ~3 :]
