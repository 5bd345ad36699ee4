"""Prepares a process for its service, then becomes it: run as a script, with the standard library only.

`launcher.py PARENT STATUS_FD CORES OPEN_FILES PROGRAM [ARGUMENT…]`, where `-` stands for "as it is".

A small program of its own and not `preexec_fn`: services are started from threads, where code between fork and exec
may deadlock. Set before the program starts, affinity and limits hold from its first instruction on and in all its
children; and the kernel kills it when the harness dies, so that no load goes on without one.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
# What a shell or the harness may have set to "ignore", which exec would pass on.
RESET = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ)


def main(arguments: list[str]) -> None:
    """Become the program. On success STATUS_FD closes without a word; else the reason is written to it."""
    parent, status, cores, open_files, *program = arguments
    status_fd = int(status)
    os.set_inheritable(status_fd, False)
    try:
        die_with(int(parent))
        pin(cores)
        raise_open_files(open_files)
        reset_signals()
        os.execv(program[0], program)  # noqa: S606 - no shell is wanted
    except (OSError, ValueError) as error:
        os.write(status_fd, str(error).encode())
        sys.exit(1)


def die_with(parent: int) -> None:
    """Be killed when the thread that started this process ends, as it does when the harness dies by any cause."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise ProcessLookupError("the harness has ended meanwhile")


def pin(cores: str) -> None:
    """Run on these CPUs only, all of which must be there."""
    if cores == "-":
        return
    wanted = {int(core) for core in cores.split(",")}
    os.sched_setaffinity(0, wanted)
    if missing := wanted - os.sched_getaffinity(0):
        raise OSError(f"CPUs {sorted(missing)} cannot be used here")


def raise_open_files(count: str) -> None:
    """Allow at least so many open files."""
    if count == "-":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, int(count)), hard))


def reset_signals() -> None:
    """Give the program the default signal handling, whatever the harness was started with."""
    for number in RESET:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


if __name__ == "__main__":
    main(sys.argv[1:])
