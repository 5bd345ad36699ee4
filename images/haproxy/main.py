"""`main.py DIR`: run HAProxy as `DIR/config.json` says. See docs/contract/README.md, "The balancer"."""

import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any, Final

from common.config import ConfigError
from haproxy import settings as settings_
from haproxy.counters import Counters, Mark
from haproxy.journal import Journal
from haproxy.settings import Settings
from haproxy.template import FRONT, configuration

_EXIT_CANNOT_RUN: Final = 1
_EXIT_BAD_INPUT: Final = 2
_READY_POLL_S: Final = 0.01
_DRAIN_S: Final = 2.0  # for what is under way when it is told to end
_END_S: Final = 2.0
_ADMIN_DIRECTORIES: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_PR_SET_PDEATHSIG: Final = 1


class Signals:
    """SIGUSR1 (a mark) and SIGTERM or SIGINT (the end), as a descriptor that a selector can wait for."""

    def __init__(self) -> None:
        self._wakeup, wakeup_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakeup_in, warn_on_full_buffer=False)
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _noted)

    def fileno(self) -> int:
        """Readable when one has come."""
        return self._wakeup

    def read(self) -> bytes:
        """The numbers of those that have come."""
        return os.read(self._wakeup, 4096)


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The wake-up pipe has the number."""


def _end_with_parent() -> None:
    """Nobody is left behind when this process is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Balancer:
    """HAProxy as a child of this process, and what it has told."""

    def __init__(self, settings: Settings, folder: Path, sockets: Path) -> None:
        self._settings = settings
        self._out = folder / "out"
        admin = str(sockets / "admin")
        self._journal = Journal(str(sockets / "journal"))
        self._counters = Counters(admin, settings.mode)
        self._signals = Signals()
        self._marks: list[Mark] = []
        self._began_ns = time.monotonic_ns()
        self._started_ns = 0
        text = folder / "haproxy.cfg"
        text.write_text(configuration(settings, admin, str(sockets / "journal")))
        self._child = subprocess.Popen(
            ["haproxy", "-db", "-q", "-f", str(text)],
            stdin=subprocess.DEVNULL,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - this process has one thread
        )

    def live(self) -> int:
        """From the first check to the report; the exit status."""
        with selectors.DefaultSelector() as selector:
            ended = os.pidfd_open(self._child.pid)
            for one in (self._signals, self._journal, ended):
                selector.register(one, selectors.EVENT_READ)
            waiting: dict[str, str] | None = {}
            while True:
                told = {key.fileobj for key, _ in selector.select(None if waiting is None else _READY_POLL_S)}
                if self._journal in told:
                    self._journal.read()
                if ended in told:
                    return self._died()
                for number in self._signals.read() if self._signals in told else b"":
                    if number != signal.SIGUSR1:
                        return self._end()
                    self._marks.append(self._counters.mark())
                if waiting is not None:
                    waiting = self._look_for_servers(waiting)

    def kill(self) -> None:
        """Leave nothing behind."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def _look_for_servers(self, before: dict[str, str]) -> dict[str, str] | None:
        """Say `ready` once every server is known to be well (None then); until then, whenever it changes, who is waited for."""
        try:
            states = self._counters.states()
        except OSError:  # it does not listen yet
            return before
        if not self._started_ns:
            self._started_ns = time.monotonic_ns()
        waiting = {
            name: f"{status} ({check})"
            for name, (status, check) in states.items()
            if status != "no check" and not (status == "UP" and check.endswith("OK"))
        }
        if not waiting:
            _say("ready")
            return None
        if waiting != before:
            _say("waiting", servers=waiting)
        return waiting

    def _died(self) -> int:
        status = self._child.wait()
        sys.stderr.write(f"balancer: haproxy ended by itself with status {status}\n")
        return _EXIT_CANNOT_RUN

    def _end(self) -> int:
        """Take nothing new, let what is under way finish, count, and only then end HAProxy."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        self._counters.command(f"disable frontend {FRONT}")
        last, deadline_s = self._counters.mark(), time.monotonic() + _DRAIN_S
        while last["connections_now"] and time.monotonic() < deadline_s:
            time.sleep(_READY_POLL_S)
            last = self._counters.mark()
        self._journal.read()
        report = self._report(last)
        self._child.terminate()
        try:
            self._child.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
        _write(self._out, report)
        return 0

    def _report(self, last: Mark) -> dict[str, Any]:
        life_s = (last["at_ns"] - self._began_ns) / 1e9
        checked = self._settings.check != "off"
        return {
            "format": settings_.FORMAT,
            "version": self._counters.version(),
            "started_ns": self._started_ns,
            # One at the beginning, one per interval, and one more for each server that was cut off by either end.
            "checks_most": int(life_s / self._settings.check_interval_s) + 2 if checked else 0,
            "connections_limit": self._counters.limit(),
            **last,
            "marks": self._marks,
            "events": self._journal.events,
        }


def main(arguments: list[str]) -> int:
    """Run it and return the exit status: 0 done, 1 it cannot run, 2 called wrongly."""
    if len(arguments) != 1:
        sys.stderr.write("usage: main.py DIR   (reads DIR/config.json, writes DIR/out/exit.json)\n")
        return _EXIT_BAD_INPUT
    folder = Path(arguments[0])
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), *_ADMIN_DIRECTORIES))
    if shutil.which("haproxy") is None:
        sys.stderr.write(
            "balancer: there is no haproxy on this machine; `apt-get install haproxy`, or use RUNTIME=docker\n"
        )
        return _EXIT_CANNOT_RUN
    try:
        settings = settings_.read(folder / "config.json")
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return _EXIT_BAD_INPUT
    with tempfile.TemporaryDirectory(prefix="ceiling-haproxy-") as sockets:  # a socket's path may have 107 bytes only
        balancer = Balancer(settings, folder, Path(sockets))
        try:
            return balancer.live()
        except OSError as error:
            sys.stderr.write(f"balancer: haproxy does not answer at its admin socket: {error}\n")
            return _EXIT_CANNOT_RUN
        finally:
            balancer.kill()


def _say(name: str, **more: object) -> None:
    print(json.dumps({"event": name, **more}), flush=True)  # noqa: T201 - events are lines of standard output


def _write(folder: Path, report: dict[str, Any]) -> None:
    """Whole, or not at all."""
    folder.mkdir(exist_ok=True)
    unfinished = folder / ".exit.json.part"
    unfinished.write_text(json.dumps(report) + "\n")
    unfinished.replace(folder / "exit.json")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
