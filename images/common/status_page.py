"""Asking a server for its status page, over TCP or a Unix socket."""

import socket
from pathlib import Path
from typing import Final

_OK: Final = b"200"
_MOST_BYTES: Final = 1 << 20


def ask(address: "tuple[str, int] | Path", path: str, deadline_s: float) -> str:
    """The page, from a connection that is closed behind it.

    Args:
        address: IP address and port, or a Unix socket.
        path: of the page.
        deadline_s: for each step.

    Raises:
        OSError: nobody answers.
        ValueError: what comes is no such page.
    """
    with socket.socket(_family(address)) as asked:
        asked.settimeout(deadline_s)
        asked.connect(str(address) if isinstance(address, Path) else address)
        asked.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = bytearray()
        while some := asked.recv(1 << 16):
            answer += some
            if len(answer) > _MOST_BYTES:
                raise ValueError("too long for a status page")
    head, _, page = bytes(answer).partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] != [_OK]:
        raise ValueError(f"no status page: {head[:80]!r}")
    return page.decode("ascii", "replace")


def _family(address: "tuple[str, int] | Path") -> socket.AddressFamily:
    if isinstance(address, Path):
        return socket.AF_UNIX
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET
