"""What one request can set off, where the configuration asks for it: a handler that crashes, ends, hangs and more.

What a fault takes with it is the model's doing. The handler's process crashes or ends, its thread hangs: with them goes
whatever else that process or thread has in hand.
"""

import ctypes
import os
import threading
import time
from typing import Final, Literal, NoReturn

PATH: Final = b"/-/fault"
LEAK_BYTES: Final = 1 << 10  # kept from every request of a process, once it leaks
LEAK_LIMIT_BYTES: Final = 1 << 30  # then it leaks no more: it is to be seen, not to take the host down

_PR_SET_DUMPABLE: Final = 4
_LOOK_S: Final = 0.001
_Kind = Literal["none", "crash", "exit", "hang", "deadlock", "leak"]


class Fault:
    """Looks at each request before it is answered; the one for `/-/fault` sets the fault off."""

    def meet(self, target: bytes) -> None:
        """A request has come."""
        if target == PATH:
            self.set_off()

    def set_off(self) -> None:
        """Let it happen."""
        raise NotImplementedError


class Crash(Fault):
    """A segmentation fault: the kernel ends the process, with all its threads."""

    def set_off(self) -> None:
        """Write to address 0.

        Without a core dump: writing out a large process takes the kernel seconds, in which its connections stay open.
        """
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        ctypes.memset(0, 0, 1)


class Exit(Fault):
    """The handler ends its process, as a library may that takes itself for the program."""

    def set_off(self) -> NoReturn:
        """End with status 1, without any clean-up."""
        os._exit(1)


class Hang(Fault):
    """The handler never returns."""

    def set_off(self) -> NoReturn:
        """Wait for what never comes; SIGTERM does not end it either."""
        while True:
            time.sleep(3_600)


class Deadlock(Fault):
    """Every request takes two locks, one after the other, as guards of shared state; the fault takes them the other way.

    Threads of one process share the locks. So the one that holds the first and wants the second, and the one that holds
    the second and wants the first, wait for each other for ever, and every later request behind them. Processes have
    locks of their own: what one of them holds is nothing to the others.
    """

    def __init__(self) -> None:
        self._first = threading.Lock()
        self._second = threading.Lock()

    def meet(self, target: bytes) -> None:
        """A request has come."""
        if target == PATH:
            self.set_off()
        else:
            with self._first, self._second:
                pass

    def set_off(self) -> None:
        """Hold the second lock until another thread holds the first, then want the first.

        Nothing is left to luck: as the second is held, the next request of another thread stops with the first in hand.
        In a process of one thread nobody can come, and there is nobody to deadlock with: the request goes on.
        """
        with self._second:
            while threading.active_count() > 1 and not self._first.locked():
                time.sleep(_LOOK_S)
            with self._first:
                pass


class Leak(Fault):
    """From the fault on, each request of the process leaves memory behind."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._leaking = False

    def meet(self, target: bytes) -> None:
        """A request has come."""
        super().meet(target)
        if self._leaking and len(self._kept) < LEAK_LIMIT_BYTES // LEAK_BYTES:
            self._kept.append(b"\xff" * LEAK_BYTES)  # written to, so it is resident

    def set_off(self) -> None:
        """Leak from now on."""
        self._leaking = True


def make_fault(kind: _Kind) -> Fault | None:
    """The fault that the configuration asks for."""
    kinds: dict[str, type[Fault]] = {"crash": Crash, "exit": Exit, "hang": Hang, "deadlock": Deadlock, "leak": Leak}
    return kinds[kind]() if kind != "none" else None
