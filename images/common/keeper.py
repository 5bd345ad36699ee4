"""Keeping the contract for a program that does not know it: a server that people really run, as a child of this process.

The program gets a configuration of its own, made from `config.json`, and is asked for its counters at each mark and at the
end, over whatever it has for that (a status page). This process sleeps in between: it takes no part in any request.
"""

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from common.config import ConfigError, ServerConfig, read_config
from common.report import Mark, write_report

UNSET: Final = -1
"""Of an integer option: the program is told nothing, and does what it does by itself."""

_EXIT_CANNOT_RUN: Final = 1
_EXIT_BAD_INPUT: Final = 2
_FINISH_S: Final = 2.0  # for what has begun; then it is told to end at once
_END_S: Final = 1.0  # for that, then it is killed; the contract allows 5 s for everything
_LOOKS: Final = 3  # at the end; one that is still asked goes on counting
_BETWEEN_LOOKS_S: Final = 0.05
_OURS: Final = frozenset({signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_PR_SET_PDEATHSIG: Final = 1


class Counts(NamedTuple):
    """What a program has counted; None is what it does not count, or could not tell just now."""

    requests: int | None
    connections: int | None


UNKNOWN: Final = Counts(None, None)


class Program(NamedTuple):
    """The program to be kept."""

    version: str  # as it calls itself
    command: Sequence[str]  # stays in the foreground, and ends with all its processes
    stop: signal.Signals  # on which it finishes what it has begun; on SIGTERM it ends at once
    counts: Callable[[], Counts]  # asks it; OSError or ValueError where it does not answer as it should
    outlived: bool = False  # whether its counts can still be had when it has ended, and so are exact to the last answer


def keep(make: Callable[[ServerConfig, Path, Path], Program]) -> NoReturn:
    """Be the server that the command line names, `server.py DIR`, and exit.

    Args:
        make: writes the program's own configuration into a folder that every user may read (the first one), and says how
            it is run; what it leaves goes into the other. Raises ConfigError for what this program cannot be told, OSError
            where it is not installed.
    """
    if len(sys.argv) != 2:
        _exit(_EXIT_BAD_INPUT, f"usage: {sys.argv[0]} DIR, the folder of config.json")
    signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)  # before anything is started: none is lost
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="ceiling-") as own:
        Path(own).chmod(0o755)
        try:
            config = read_config(folder)
            program = make(config, Path(own), folder / "out")
        except ConfigError as error:
            _exit(_EXIT_BAD_INPUT, str(error))
        except OSError as error:
            _exit(_EXIT_CANNOT_RUN, f"{error.filename or 'its program'}: {error.strerror or error}")
        status = _Kept(program, config.model, folder / "out").live()
    sys.exit(status)


def refuse_handler(config: ServerConfig, *, log: bool = False) -> None:
    """See that nothing is asked for but a body of some size: the programs kept here serve a file.

    Args:
        config: what the server is told.
        log: whether it can write an access log as it is told.

    Raises:
        ConfigError: something else is asked for.
    """
    handler = config.handler
    asked = (
        ("kind", handler.kind != "body"),
        ("cpu_iterations", handler.cpu_iterations > 0),
        ("log", handler.log != "off" and not log),
        ("backend", handler.backend is not None),
        ("fault", handler.fault != "none"),
    )
    for key, is_asked in asked:
        if is_asked:
            raise ConfigError(f"{config.model}: handler.{key} is not what this server can do; it answers with a body")


def write_body(config: ServerConfig, folder: Path) -> Path:
    """The file that is served: the same bytes that every model answers with.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / "body"
    path.write_bytes(b"x" * config.handler.body_bytes)
    path.chmod(0o644)
    return path


class _Kept:
    """The program as it runs, and the marks so far."""

    def __init__(self, program: Program, model: str, out: Path) -> None:
        self._program = program
        self._model = model
        self._out = out
        self._marks: list[Mark] = []
        self._child = subprocess.Popen(program.command, stdin=subprocess.DEVNULL, preexec_fn=_become)  # noqa: PLW1509 - this process has one thread

    def live(self) -> int:
        """From the start to the report; the exit status."""
        while True:
            got = signal.sigwait(_OURS)
            if got == signal.SIGUSR1:
                self._marks.append(self._mark())
            elif got == signal.SIGCHLD:
                if (status := self._child.poll()) is not None:
                    sys.stderr.write(f"{self._model}: {self._program.command[0]} ended by itself, status {status}\n")
                    return _EXIT_CANNOT_RUN
            else:
                return self._end()

    def _mark(self) -> Mark:
        at_ns = time.monotonic_ns()
        try:
            counts = self._program.counts()
        except (OSError, ValueError):  # such as: every worker has a connection, and nobody is left to tell
            counts = UNKNOWN
        return {"at_ns": at_ns, **counts._asdict()}

    def _last_mark(self) -> Mark:
        """When two in a row agree: a server counts a request only after it has sent the answer."""
        last = self._mark()
        for _ in range(_LOOKS):
            time.sleep(_BETWEEN_LOOKS_S)
            before, last = last, self._mark()
            if last["requests"] == before["requests"]:
                break
        return last

    def _end(self) -> int:
        """Count while it still answers, then have it finish."""
        end = self._last_mark()
        self._child.send_signal(self._program.stop)
        if not self._ends_within(_FINISH_S):
            self._child.terminate()
            if not self._ends_within(_END_S):  # such as httpd with threads that wait for idle clients
                os.killpg(self._child.pid, signal.SIGKILL)
                self._child.wait()
        if self._program.outlived:
            end = self._mark()
        write_report(self._out, self._model, self._marks, end, program=self._program.version)
        return 0

    def _ends_within(self, seconds: float) -> bool:
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def _become() -> None:
    """In the child, before it is the program: signals as usual, a group of its own, and the end together with this process."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _exit(status: int, why: str) -> NoReturn:
    sys.stderr.write(f"{why}\n")
    sys.exit(status)
