"""`main.py DIR`: run the load client that `DIR/config.json` describes. See docs/contract/README.md."""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start threads, and a fork needs there to be none

import uvloop

from client import config, crew, limits
from client.errors import CannotRunError
from client.events import emit
from client.pace.schedule import Share
from client.run import Run
from client.wire import sources

_EXIT_CANNOT_RUN = 1
_EXIT_USAGE = 2


def main(arguments: list[str]) -> int:
    """Run it and return the exit status: 0 done, 1 it could not run (an `error` event says why), 2 called wrongly."""
    if len(arguments) != 1:
        sys.stderr.write("usage: main.py DIR   (reads DIR/config.json, writes DIR/out/client.json)\n")
        return _EXIT_USAGE
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _: os._exit(128 + caught))
    folder = Path(arguments[0])

    def run() -> None:
        settings = sources.settled(config.read(folder / "config.json"))
        limits.make_room(settings)
        if settings.processes > 1:
            crew.run(settings, folder, _work)
        else:
            _make_load(settings, folder, Share(*settings.share), alone=True)

    return _told(run)


def _work(settings: config.Config, folder: Path, share: Share) -> int:
    """The whole life of one process among several."""
    return _told(lambda: _make_load(settings, folder, share, alone=False))


def _told(run: Callable[[], None]) -> int:
    """Run it; what stops it is told in the client's own language."""
    try:
        run()
    except CannotRunError as error:
        emit("error", message=str(error))
        return _EXIT_CANNOT_RUN
    except BrokenPipeError:
        os._exit(_EXIT_CANNOT_RUN)  # whoever listened is gone: nobody to tell
    except Exception as error:  # noqa: BLE001 — a defect of the client: still told, with the traceback beside it
        traceback.print_exc()
        emit("error", message=f"internal error: {error!r}")
        return _EXIT_CANNOT_RUN
    return 0


def _make_load(settings: config.Config, folder: Path, share: Share, *, alone: bool) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_live(settings, folder, share, alone=alone))


async def _live(settings: config.Config, folder: Path, share: Share, *, alone: bool) -> None:
    """Run it; an error in any callback of the loop ends it, as a run that lost an event would count wrongly."""
    loop = asyncio.get_running_loop()
    if alone:  # else a signal is the first process's to take, and the kernel ends this one with it
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, os._exit, 128 + number)
    life = asyncio.ensure_future(Run(settings, folder, loop, share, alone=alone).live())
    failure: list[BaseException] = []

    def fail(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        failure.append(context.get("exception") or RuntimeError(context["message"]))
        life.cancel()

    loop.set_exception_handler(fail)
    try:
        await life
    except asyncio.CancelledError:
        raise failure[0] from None


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # all is written; taking the interpreter down piece by piece only costs every trial time
