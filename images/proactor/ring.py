"""io_uring as Linux offers it: two rings in memory that program and kernel share, and one system call.

The program writes operations into the submission ring (64 bytes each, made by `operations.py`), `io_uring_enter` hands
them over, and the kernel writes what became of each into the completion ring: the token that the operation was given,
its result (as the system call of the same name has it, or minus errno), and flags.

Who writes when: the ring is made with DEFER_TASKRUN, so the kernel touches both rings only while this thread is inside
`io_uring_enter`. Between two calls they are ours alone. So no memory barrier is needed on any processor, and plain
Python may be the one to write.
"""

import ctypes
import errno
import mmap
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ENTRY_BYTES: Final = 64  # of an operation
SUBMISSIONS: Final = 1024  # that the ring holds; more than that are handed over in turns
COMPLETIONS: Final = 8192  # that the ring holds; what does not fit the kernel keeps until the next call

_SETUP, _ENTER, _REGISTER = 425, 426, 427  # system calls, the same numbers on x86-64 and arm64
_PARAMS: Final = struct.Struct("=30I")  # struct io_uring_params
_CQSIZE: Final = 1 << 3
_SUBMIT_ALL: Final = 1 << 7  # one that is refused completes with an error, and those behind it are still taken
_SINGLE_ISSUER: Final = 1 << 12
_DEFER_TASKRUN: Final = 1 << 13
_GETEVENTS: Final = 1 << 0
_ENTRIES_AT: Final = 0x1000_0000  # offset at which the operations are mapped
_REGISTER_BUFFERS: Final = 22  # IORING_REGISTER_PBUF_RING
_BUFFERS: Final = struct.Struct("=QIHH24x")  # struct io_uring_buf_reg
_COMPLETION: Final = struct.Struct("=QiI")  # struct io_uring_cqe: token, result, flags
_LATER: Final = frozenset({errno.EINTR, errno.EAGAIN, errno.EBUSY})  # nothing is lost; the next call goes on
_SYSCTL: Final = Path("/proc/sys/kernel/io_uring_disabled")

_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.syscall.argtypes = [ctypes.c_long] * 7
_libc.syscall.restype = ctypes.c_long


class RingError(Exception):
    """No ring is to be had: which knob says so, in one line."""


class Ring:
    """A ring, for the thread that makes it alone: not for another thread, and not for a forked child."""

    def __init__(self) -> None:
        """Have the kernel make it, and map its memory.

        Raises:
            RingError: the kernel does not have it or does not allow it.
        """
        params = (ctypes.c_uint32 * 30)()
        params[1] = COMPLETIONS
        params[2] = _CQSIZE | _SUBMIT_ALL | _SINGLE_ISSUER | _DEFER_TASKRUN
        self._fd = _libc.syscall(_SETUP, SUBMISSIONS, ctypes.addressof(params), 0, 0, 0, 0)
        if self._fd < 0:
            raise RingError(why_not(ctypes.get_errno()))
        head, tail, _, _, _, _, array = params[10:17]  # struct io_sqring_offsets
        self._completions_at = params[25]  # of struct io_cqring_offsets, like the two below
        self._completions_end = self._completions_at + COMPLETIONS * _COMPLETION.size
        self._memory = mmap.mmap(self._fd, max(array + 4 * SUBMISSIONS, self._completions_end))
        self._entries = mmap.mmap(self._fd, SUBMISSIONS * ENTRY_BYTES, offset=_ENTRIES_AT)
        self._words = memoryview(self._memory).cast("I")
        self._submission_head, self._submission_tail = head // 4, tail // 4  # indices of words
        self._completion_head, self._completion_tail = params[20] // 4, params[21] // 4
        for index in range(SUBMISSIONS):  # the ring is one of indices; ours stand in order, once and for all
            self._words[array // 4 + index] = index
        self._queue: list[bytes] = []
        self.queue = self._queue.append  # an operation, or several that are linked: to be handed over in the next turn

    def turn(self) -> Iterable[tuple[int, int, int]]:
        """Hand over what is queued, sleep until something has completed, and return the completions.

        A signal ends the sleep too; then there may be none.

        Returns:
            Token, result and flags of each.

        Raises:
            OSError: the kernel refuses the call.
        """
        while not self._write_queue():
            self._enter(0)
        self._enter(1)
        words = self._words
        head, tail = words[self._completion_head], words[self._completion_tail]
        if head == tail:
            return ()
        first = self._completions_at + head % COMPLETIONS * _COMPLETION.size
        end = self._completions_at + tail % COMPLETIONS * _COMPLETION.size
        if first < end:
            completions = self._memory[first:end]
        else:
            completions = self._memory[first : self._completions_end] + self._memory[self._completions_at : end]
        words[self._completion_head] = tail  # copied out: the kernel may write over them
        return _COMPLETION.iter_unpack(completions)

    def provide_buffers(self, address: int, number: int) -> None:
        """Tell the kernel of the ring of buffers at this address (`buffers.py`).

        Raises:
            OSError: the kernel refuses it.
        """
        request = ctypes.create_string_buffer(_BUFFERS.pack(address, number, 0, 0), _BUFFERS.size)
        if _libc.syscall(_REGISTER, self._fd, _REGISTER_BUFFERS, ctypes.addressof(request), 1, 0, 0) < 0:
            raise OSError(ctypes.get_errno(), f"io_uring_register: {os.strerror(ctypes.get_errno())}")

    def close(self) -> None:
        """Let go of the ring; the kernel ends what is still in flight."""
        self._words.release()
        self._memory.close()
        self._entries.close()
        os.close(self._fd)

    def _write_queue(self) -> bool:
        """Write what is queued into the submission ring, as far as it fits; true when that was all."""
        queue, words = self._queue, self._words
        tail = words[self._submission_tail]
        room = SUBMISSIONS - (tail - words[self._submission_head]) % (1 << 32)
        taken = len(queue)
        operations = b"".join(queue)
        while len(operations) > room * ENTRY_BYTES:  # whole items only: a link must not be cut
            taken //= 2
            operations = b"".join(queue[:taken])
        del queue[:taken]
        at = tail % SUBMISSIONS * ENTRY_BYTES
        before_the_end = operations[: SUBMISSIONS * ENTRY_BYTES - at]
        self._entries[at : at + len(before_the_end)] = before_the_end
        self._entries[: len(operations) - len(before_the_end)] = operations[len(before_the_end) :]
        words[self._submission_tail] = (tail + len(operations) // ENTRY_BYTES) % (1 << 32)
        return not queue

    def _enter(self, wait_for: int) -> None:
        words = self._words
        number = (words[self._submission_tail] - words[self._submission_head]) % (1 << 32)
        if _libc.syscall(_ENTER, self._fd, number, wait_for, _GETEVENTS, 0, 0) < 0:
            number = ctypes.get_errno()
            if number not in _LATER:
                raise OSError(number, f"io_uring_enter: {os.strerror(number)}")


def why_not(error: int, sysctl: Path = _SYSCTL) -> str:
    """What io_uring_setup's error means here, and what to do.

    Args:
        error: its errno.
        sysctl: file of kernel.io_uring_disabled.
    """
    disabled = sysctl.read_text().strip() if sysctl.is_file() else "0"
    if error == errno.ENOSYS:
        return "this kernel has no io_uring (ENOSYS); take Linux 6.1 or newer, built with CONFIG_IO_URING"
    if error == errno.EINVAL:
        return "this kernel's io_uring is too old (EINVAL); take Linux 6.1 or newer"
    if error == errno.EPERM and disabled in ("1", "2"):
        return f"io_uring is switched off (kernel.io_uring_disabled is {disabled}); run as root: sysctl -w kernel.io_uring_disabled=0"
    if error == errno.EPERM:
        return (
            "a seccomp profile or security module forbids io_uring (EPERM); run it under images/proactor/seccomp.json"
        )
    return f"io_uring_setup: {os.strerror(error)}"
