"""`main.py DIR`: run the backend that `DIR/config.json` describes. See docs/contract/README.md, "The backend"."""

import json
import os
import resource
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Final

from backend import config, delays
from backend.loop import Loop
from common.config import ConfigError
from common.sockets import Listener, ListenError

BACKLOG: Final = 4_096
_EXIT_CANNOT_RUN: Final = 1
_EXIT_BAD_INPUT: Final = 2
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """SIGTERM or SIGINT has come. The wake-up pipe, written to at a signal's arrival, wakes the loop for it."""

    def __init__(self) -> None:
        self.stopping = False
        self._wakeup, wakeup_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakeup_in, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._stop)

    def over(self) -> None:
        """Ignore what comes from here on: the interpreter, when it ends, would let it kill the process."""
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def fileno(self) -> int:
        """The descriptor that becomes readable when a signal arrives."""
        return self._wakeup

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True


def main(arguments: list[str]) -> int:
    """Run it and return the exit status: 0 done, 1 it cannot listen, 2 called wrongly."""
    if len(arguments) != 1:
        sys.stderr.write("usage: main.py DIR   (reads DIR/config.json, writes DIR/out/exit.json)\n")
        return _EXIT_BAD_INPUT
    folder = Path(arguments[0])
    try:
        settings = config.read(folder / "config.json")
        listener = Listener(settings.host, settings.port, BACKLOG)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return _EXIT_BAD_INPUT
    except ListenError as error:
        sys.stderr.write(f"backend: {error}; stop what uses the port or choose another\n")
        return _EXIT_CANNOT_RUN
    stop = Stop()
    loop = Loop(listener, delays.draws(settings), settings.body_bytes, stop)
    loop.run()
    stop.over()
    write_report(folder / "out", loop)
    return 0


def write_report(folder: Path, loop: Loop) -> None:
    """Write `exit.json` into the folder, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    report = {
        "format": config.FORMAT,
        "requests": loop.requests,
        "answers": loop.answers,
        "connections": loop.connections,
        "cpu_user_s": round(used.ru_utime, 6),
        "cpu_system_s": round(used.ru_stime, 6),
        "delays_ns": loop.made.sparse(),
    }
    unfinished = folder / ".exit.json.part"
    unfinished.write_text(json.dumps(report) + "\n")
    unfinished.replace(folder / "exit.json")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
