"""Operations as io_uring takes them: each function makes the 64 bytes of one (struct io_uring_sqe).

An operation's memory (what is to be sent, where an address is to be written) is the kernel's from the turn that
hands it over until its completion: whoever queues an operation keeps that memory referenced and unchanged so long.
A timeout's duration alone is read at once.
"""

import contextlib
import socket
import struct
from typing import Final

_SQE: Final = struct.Struct("=BBHiQQIIQHHIQ8x")
_TIMEOUT, _ACCEPT, _CANCEL, _LINK_TIMEOUT, _CONNECT = 11, 13, 14, 15, 16  # IORING_OP_*
_POLL, _CLOSE, _SEND, _RECV = 6, 19, 26, 27
_IN_A_ROW: Final = 1 << 2  # IOSQE_IO_LINK: the next entry starts when this one has succeeded
_CHOOSE_BUFFER: Final = 1 << 5  # IOSQE_BUFFER_SELECT
_QUIET: Final = 1 << 6  # IOSQE_CQE_SKIP_SUCCESS
_POLLIN: Final = 1
_ALL_OF_IT: Final = int(socket.MSG_WAITALL | socket.MSG_NOSIGNAL)  # an int: an enum is slow to compute with
_CANCEL_ALL, _CANCEL_ANY = 1 << 0, 1 << 2
_BYTES_AT: Final = bytes.__basicsize__ - 1  # from a bytes object's address to its first byte (PyBytesObject)
_TIMESPEC: Final = struct.Struct("=qq")


def address_of(data: bytes) -> int:
    """Where the bytes lie; for as long as the object is referenced."""
    return id(data) + _BYTES_AT


def accept(listener: int, length: int, peer: int, token: int) -> bytes:
    """Accept a connection.

    Args:
        listener: descriptor.
        length: where the room for an address is said, in 4 bytes, and the kernel says what it took.
        peer: where it writes the client's address.
        token: of the completion, whose result is the connection's descriptor.
    """
    return _SQE.pack(_ACCEPT, 0, 0, listener, length, peer, 0, socket.SOCK_CLOEXEC, token, 0, 0, 0, 0)


def receive(fd: int, token: int, flags: int = 0) -> bytes:
    """Receive into a buffer that the kernel chooses when there is something to receive (`buffers.py`).

    Args:
        fd: descriptor.
        token: of the completion, whose result is the number of bytes.
        flags: of recv(2).
    """
    return _SQE.pack(_RECV, _CHOOSE_BUFFER, 0, fd, 0, 0, 0, flags, token, 0, 0, 0, 0)


def send(fd: int, data: bytes, sent: int, token: int) -> bytes:
    """Send all of `data` from the byte `sent` on; completed when the kernel has taken the last byte, or cannot."""
    at = address_of(data) + sent
    return _SQE.pack(_SEND, 0, 0, fd, 0, at, len(data) - sent, _ALL_OF_IT, token, 0, 0, 0, 0)


def connect(fd: int, address: bytes, token: int) -> bytes:
    """Connect to an address (`socket_address`)."""
    return _SQE.pack(_CONNECT, 0, 0, fd, len(address), address_of(address), 0, 0, token, 0, 0, 0, 0)


def close(fd: int, token: int) -> bytes:
    """Close a descriptor. No completion follows, unless it fails."""
    return _SQE.pack(_CLOSE, _QUIET, 0, fd, 0, 0, 0, 0, token, 0, 0, 0, 0)


def readable(fd: int, token: int) -> bytes:
    """Completed when the descriptor is readable: readiness, as one more operation."""
    return _SQE.pack(_POLL, 0, 0, fd, 0, 0, 0, _POLLIN, token, 0, 0, 0, 0)


def timer(duration: bytes, token: int) -> bytes:
    """Completed, with -ETIME, when a duration (`duration_of`) is over."""
    return _SQE.pack(_TIMEOUT, 0, 0, -1, 0, address_of(duration), 1, 0, token, 0, 0, 0, 0)


def within(duration: bytes, operation: bytes, token: int) -> bytes:
    """The operation, which is cancelled when the duration is over; a second completion, `token`, tells of the timer."""
    limit = _SQE.pack(_LINK_TIMEOUT, 0, 0, -1, 0, address_of(duration), 1, 0, token, 0, 0, 0, 0)
    return operation[:1] + bytes((operation[1] | _IN_A_ROW,)) + operation[2:] + limit


def cancel(target: int, token: int) -> bytes:
    """Cancel the operation whose token is `target`; it completes with -ECANCELED, or as it would have anyway."""
    return _SQE.pack(_CANCEL, _QUIET, 0, -1, 0, target, 0, 0, token, 0, 0, 0, 0)


def cancel_all(token: int) -> bytes:
    """Cancel every operation in flight."""
    return _SQE.pack(_CANCEL, 0, 0, -1, 0, 0, 0, _CANCEL_ALL | _CANCEL_ANY, token, 0, 0, 0, 0)


def duration_of(seconds: float) -> bytes:
    """A duration, not below 0; keep it referenced until the turn that hands the operation over is done."""
    ns = max(0, round(seconds * 1e9))
    return _TIMESPEC.pack(ns // 1_000_000_000, ns % 1_000_000_000)


def socket_address(host: str, port: int) -> bytes:
    """The address as the kernel takes it (struct sockaddr_in, sockaddr_in6)."""
    if ":" in host:
        return struct.pack(
            "=H2sI16sI", socket.AF_INET6, port.to_bytes(2, "big"), 0, socket.inet_pton(socket.AF_INET6, host), 0
        )
    return struct.pack("=H2s4s8x", socket.AF_INET, port.to_bytes(2, "big"), socket.inet_aton(host))


def end_stream(fd: int) -> None:
    """Say that nothing more comes, now: as an operation it would take a thread of the kernel's to do this."""
    stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)
    with contextlib.suppress(OSError):  # the client has gone; the next receive says so
        stream.shutdown(socket.SHUT_WR)
    stream.detach()
