"""The life of a server: configuration, signals, marks, exit report. The same for every model.

Signal handlers only note what is asked (`stopping`) or take a mark, and never raise, so no count and no
descriptor can be lost between two lines. What wakes a sleeping main loop is the wake-up pipe, into which the
interpreter writes at the very arrival of a signal: waiting on it closes the gap between "look whether to stop"
and "go to sleep".
"""

import contextlib
import math
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, TypeVar

from common.access_log import AccessLog
from common.backend import Backend
from common.blocking import ABORT, FINISH, hang_up
from common.children import SIGNALS, die_with
from common.config import ConfigError, ServerConfig, read_config
from common.handler import Handler
from common.report import Mark, take_mark, write_report
from common.scoreboard import WAKEUPS, Counts, Scoreboard
from common.session import Session, Tell
from common.sockets import Listener, ListenError

THREAD_STACK_BYTES: Final = 256 << 10  # Python keeps its own frames on the heap; 8 MiB per thread are addresses only
_Option = TypeVar("_Option", int, str, bool)
_EXIT_CANNOT_RUN: Final = 1
_EXIT_BAD_INPUT: Final = 2
_FROM_OUTSIDE: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Service:
    """What a model works with.

    Attributes:
        config: everything the server was told.
        scoreboard: all counters.
        counts: of them, the main thread's.
        log: the access log; written out by `finish`.
        count_requests: whether requests answered are counted. To be set before the first session and the first mark.
        uncounted: counters that this model cannot see: they are `null` in marks and report, which is not 0.
        facts: what the exit report says besides, by its field's name.
        before_mark: done before each mark, in a signal's handler: it adds up what is counted already.
        stopping: SIGTERM or SIGINT has come.
        connection: of a forked child that serves one at a time, the one it serves now: a signal ends it.
    """

    def __init__(self, folder: Path, config: ServerConfig) -> None:
        self.config = config
        self.scoreboard = Scoreboard()
        self.counts = self.scoreboard.main
        self.log = AccessLog(folder / "out" / "access.log", config.handler.log)
        self.count_requests = True
        self.uncounted: tuple[str, ...] = ()
        self.facts: dict[str, int] = {}
        self.before_mark: Callable[[], None] = _nothing
        self.stopping = False
        self.connection: socket.socket | None = None
        self._pid = os.getpid()
        self._handler = Handler(config.handler, self.log)
        self._out = folder / "out"
        self._marks: list[Mark] = []
        self._marks_due = 0
        self._make_wakeup()
        threading.stack_size(THREAD_STACK_BYTES)
        self._catch_signals()

    @classmethod
    def start(cls) -> "Service":
        """The service that the command line names: `server.py DIR`. Exits with one line if that cannot be."""
        if len(sys.argv) != 2:
            _exit(_EXIT_BAD_INPUT, f"usage: {sys.argv[0]} DIR, the folder of config.json")
        folder = Path(sys.argv[1])
        try:
            return cls(folder, read_config(folder))
        except ConfigError as error:
            _exit(_EXIT_BAD_INPUT, str(error))
        except OSError as error:
            _exit(_EXIT_BAD_INPUT, f"{error.filename}: {error.strerror}; make {folder / 'out'} a writable folder")

    def option(self, name: str, kind: type[_Option]) -> _Option:
        """An option of the model, of the type that its model.yaml says. Exits with one line if it is not there."""
        value = self.config.options.get(name)
        if type(value) is not kind:
            why = f"is {value!r}; it must be of type {kind.__name__}, see model.yaml"
            _exit(_EXIT_BAD_INPUT, f"config.json: options.{name} {why}")
        return value

    def give_up(self, why: str) -> NoReturn:
        """Exit before the first connection, with one line that says what is missing and what to do."""
        _exit(_EXIT_CANNOT_RUN, f"{self.config.model}: {why}")

    def listen(self, *, blocking: bool = False) -> Listener:
        """The socket the configuration asks for. Exits with one line if it cannot be had."""
        return self.listen_apart(1, blocking=blocking)[0]

    def listen_apart(self, number: int, *, blocking: bool = False) -> list[Listener]:
        """So many sockets on the port that the configuration names, each with a queue of its own (SO_REUSEPORT).

        Exits with one line if they cannot be had.
        """
        config = self.config
        try:
            first = Listener(config.host, config.port, config.backlog, blocking=blocking)
            return [first, *(first.another() for _ in range(number - 1))]
        except ListenError as error:
            self.give_up(f"{error}; stop what uses the port or choose another")

    def session(self, peer: str, counts: Counts, tell: Tell | None = None) -> Session:
        """A new connection's session, counted in the slot of the worker that serves it (`tell`: see Session)."""
        return Session(self._handler, counts, self, peer, tell if self.count_requests else _nothing)

    def backend(self, counts: Counts) -> Backend | None:
        """A worker's connection to the backend, where the handler has one; for workers that may block."""
        address = self._handler.backend
        return None if address is None else Backend(address, counts)

    def fileno(self) -> int:
        """The descriptor that becomes readable when a signal arrives, for a loop that waits on more than one thing."""
        return self._wakeup

    def noticed(self) -> None:
        """The signals that made `fileno` readable are handled: make it quiet again."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._wakeup, 4096)

    def wait(self, listener: Listener, timeout_s: float | None = None) -> bool:
        """Sleep until a connection waits, a signal has come or the time is up; False once the server is to stop."""
        rest_s = listener.rest_left_s()
        self._poll_listener(listener, not rest_s)
        sleep_s = min(rest_s or math.inf, math.inf if timeout_s is None else timeout_s)
        events = () if self.stopping else self._poll.poll(None if sleep_s == math.inf else sleep_s * 1_000)
        self.counts[WAKEUPS] += 1
        if any(fd == self._wakeup for fd, _ in events):
            self.noticed()
        return not self.stopping

    def sleep(self, timeout_s: float | None) -> bool:
        """Sleep until a signal comes or the time is up; False once the server is to stop."""
        if not self.stopping and self._poll.poll(None if timeout_s is None else timeout_s * 1_000):
            self.noticed()
        self.counts[WAKEUPS] += 1
        return not self.stopping

    def wake_for(self, fd: int) -> None:
        """Have `wait` return whenever this descriptor is readable, too."""
        self._poll.register(fd, select.POLLIN)

    def become_child(self, counts: Counts, connection: socket.socket) -> None:
        """In a forked child that serves one connection and ends: nothing is left of the parent's signals.

        SIGTERM ends the connection, SIGQUIT cuts it.
        """
        self.counts = counts
        self.connection = connection
        signal.set_wakeup_fd(-1)
        self._close_wakeup()
        self._let_in_a_childs_signals()

    def become_worker(self, counts: Counts) -> None:
        """In a forked child that lives on: as `become_child`, and signals wake its own `wait`."""
        die_with(self._pid)
        self.counts = counts
        self._close_wakeup()
        self._make_wakeup()
        signal.set_wakeup_fd(self._wakeup_in, warn_on_full_buffer=False)
        self._let_in_a_childs_signals()

    def finish(self) -> None:
        """Write the log out, take the end mark, write and print the exit report. All workers have ended.

        From here on signals are ignored. No mark follows the last one; and the interpreter, when it ends, gives every
        signal that is not ignored back to the kernel, whose answer to it is death.
        """
        for number in _FROM_OUTSIDE:
            signal.signal(number, signal.SIG_IGN)
        self.log.flush()
        end = self._take_mark()
        write_report(self._out, self.config.model, self._marks, {**end, **self.facts})

    def _make_wakeup(self) -> None:
        self._wakeup, self._wakeup_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._wakeup, select.POLLIN)
        self._polled = False  # whether the listener is among what is polled

    def _close_wakeup(self) -> None:
        os.close(self._wakeup)
        os.close(self._wakeup_in)

    def _let_in_a_childs_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._end_connection)
        signal.signal(signal.SIGQUIT, self._end_connection)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent passes it on
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # blocked since before the fork

    def _end_connection(self, number: int, _frame: FrameType | None) -> None:
        self.stopping = True
        if self.connection is not None:
            hang_up(self.connection, FINISH if number == signal.SIGTERM else ABORT)

    def _poll_listener(self, listener: Listener, wanted: bool) -> None:
        if wanted and not self._polled:
            self._poll.register(listener, select.POLLIN)
        elif self._polled and not wanted:
            self._poll.unregister(listener)
        self._polled = wanted

    def _catch_signals(self) -> None:
        signal.set_wakeup_fd(self._wakeup_in, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGUSR1, self._mark)
        signal.signal(signal.SIGCHLD, _only_wake)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _mark(self, _number: int, _frame: FrameType | None) -> None:
        self._marks_due += 1
        if self._marks_due > 1:  # asked for while one is being taken: one after another, or their order would be lost
            return
        while self._marks_due:
            self._marks.append(self._take_mark())
            self._marks_due -= 1

    def _take_mark(self) -> Mark:
        self.before_mark()
        return {**take_mark(self.scoreboard, self.count_requests), **dict.fromkeys(self.uncounted)}


def _nothing() -> None:
    """Where nobody is to be told, or all counters are up to date at any time."""


def _only_wake(_number: int, _frame: FrameType | None) -> None:
    """A handler must be there for the wake-up pipe to be written to; that is all it is for."""


def _exit(status: int, line: str) -> NoReturn:
    sys.stderr.write(f"{line}\n")
    sys.exit(status)
