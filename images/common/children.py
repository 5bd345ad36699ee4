"""Child processes: forked with no signal lost, reaped, and ended within the time that the contract allows."""

import ctypes
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from typing import Final, NoReturn

from common.blocking import FINISH, insist
from common.scoreboard import FORKS, Counts

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD})
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)


class Children:
    """The living children of the main process, each with the slot of the scoreboard that it counts in."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._living: dict[int, int] = {}  # process id: slot

    def fork(self, slot: int) -> bool:
        """Fork; true in the child. No signal is let in until each side knows who it is.

        The parent lets them in again here. The child does when it has its own handlers (`Service.become_child`,
        `Service.become_worker`): until then the parent's are in force, and a signal would be taken for the parent's.

        Raises:
            OSError: no more processes may be had.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = -1
        try:
            pid = os.fork()
            if pid:
                self._living[pid] = slot
                self._counts[FORKS] += 1
        finally:
            if pid:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return not pid

    def reap(self) -> Iterator[int]:
        """Take leave of every child that has ended, without waiting for one; its slot is the caller's again."""
        while self._living:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid in self._living:  # as process 1 of a container we are sent orphans too
                yield self._living.pop(pid)

    def end(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Have them all finish, and reap them all.

        A signal that falls between a child's last look and its recv does not wake the recv; so it is sent again.

        Args:
            meanwhile: done at least every 50 ms until they have ended: what a child might otherwise wait for.
        """
        for how in insist():
            for _ in self.reap():
                pass
            if meanwhile is not None:
                meanwhile()
            if not self._living:
                return
            for pid in self._living:
                os.kill(pid, signal.SIGTERM if how == FINISH else signal.SIGQUIT)
        for pid in self._living:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self._living.clear()


def die_with(parent: int) -> None:
    """In a child that lives as long as its parent: be killed when the parent dies, however it does.

    A worker that sleeps in accept would outlive a parent that was killed, and keep the port. The kernel forgets it
    where the parent has died before it was asked.

    Args:
        parent: process id.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def exit_after(life: Callable[[], None]) -> NoReturn:
    """Live a child's whole life, and end the process: status 0, or 1 and a traceback where it broke."""
    status = 1
    try:
        life()
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)  # not sys.exit: the parent's loop and its clean-up lie below us on this stack
