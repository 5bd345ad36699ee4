"""Whether this process may make an io_uring: asked of the kernel by making one.

A program of its own, standard library only: its text is run where a server is to run, as a process or in a container of
the server's image, because seccomp profiles differ between the two. It prints one line of JSON: the errno of
io_uring_setup (0: it may) and the value of kernel.io_uring_disabled (null: this kernel has no such setting).
"""

import ctypes
import json
import os
from pathlib import Path

IO_URING_SETUP = 425  # the same number on x86-64 and arm64
SINGLE_ISSUER_AND_DEFER_TASKRUN = 1 << 12 | 1 << 13  # of Linux 6.1; older kernels answer EINVAL


def setup_errno() -> int:
    """Make an io_uring and let it go; the errno, or 0."""
    libc = ctypes.CDLL(None, use_errno=True)
    params = (ctypes.c_uint32 * 30)()
    params[2] = SINGLE_ISSUER_AND_DEFER_TASKRUN
    libc.syscall.argtypes = [ctypes.c_long, ctypes.c_uint, ctypes.c_void_p]
    fd = libc.syscall(IO_URING_SETUP, 1, params)
    if fd < 0:
        return ctypes.get_errno()
    os.close(fd)
    return 0


def disabled(path: str = "/proc/sys/kernel/io_uring_disabled") -> int | None:
    """The value of kernel.io_uring_disabled."""
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    os.write(1, json.dumps({"errno": setup_errno(), "disabled": disabled()}).encode() + b"\n")
