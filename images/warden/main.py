"""The warden: holds a host for a run, and ends the run's load there once nobody has asked for it for too long.

`main.py DIR` reads DIR/config.json (docs/contract/README.md, "The warden"). A renewal is a line on standard input; its answer,
a line on standard output, says that the lease begins anew. In between it sleeps: nothing here moves during a trial.
"""

import json
import os
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from warden.engine import Engine, EngineError

RENEWALS = 0  # descriptor of standard input
SWEEP_S = 300.0  # between looks for what is past its deadline, whoever's it is
TRY_S = 60.0  # how long to try to remove what does not go
PAUSE_S = 1.0
FIRST = ("client", "balancer")  # what makes load goes before what bears it


class Renewals:
    """Lines on standard input."""

    def __init__(self) -> None:
        self._partial = b""
        self._open = True

    def within(self, timeout_s: float) -> Iterator[str]:
        """Those that have come, or come within a time; each once."""
        readable = [RENEWALS] if self._open else []
        if not select.select(readable, [], [], max(0.0, timeout_s))[0]:
            return
        piece = os.read(RENEWALS, 4096)
        self._open = bool(piece)
        *lines, self._partial = (self._partial + piece).split(b"\n")
        yield from (line.decode(errors="replace").strip() for line in lines)


def watch(engine: Engine, labels: dict[str, str], lease_s: float) -> int:
    """Keep the lease until it is over, and then end the run's load; the exit status."""
    renewals = Renewals()
    over = time.monotonic() + lease_s
    sweep = time.monotonic()
    while True:
        # What has come already counts, however late this process gets to see it: its host may have stood still.
        for renewal in renewals.within(min(over, sweep) - time.monotonic()):
            over = time.monotonic() + lease_s
            say({"event": "renewed", "renewal": renewal})
        if time.monotonic() >= over:
            return end_run(engine, labels)
        if time.monotonic() >= sweep:
            remove_overdue(engine)
            sweep = time.monotonic() + SWEEP_S


def end_run(engine: Engine, labels: dict[str, str]) -> int:
    """Remove every container of the run, but for this one; the exit status."""
    until = time.monotonic() + TRY_S
    wanted = [f"{name}={value}" for name, value in labels.items()]
    removed: list[str] = []
    while True:
        try:
            found = in_order([entry for entry in engine.containers(wanted) if role_of(entry) != "warden"])
            for entry in found:
                engine.remove(entry)
                removed.append(entry["Names"][0].lstrip("/"))
            if not found:  # looked again after the last: nothing was made meanwhile
                say({"event": "lease over", "removed": removed})
                return 0
        except EngineError as error:
            say({"event": "error", "message": str(error)})
            if time.monotonic() >= until:
                return 1
            time.sleep(PAUSE_S)


def remove_overdue(engine: Engine) -> None:
    """Remove what is past its own deadline, of any run; wardens have none."""
    now_s = time.time()
    try:
        found = [entry for entry in engine.containers(["ceiling.run", "ceiling.deadline"]) if is_overdue(entry, now_s)]
        for entry in in_order(found):
            engine.remove(entry)
            say({"event": "overdue", "removed": [entry["Names"][0].lstrip("/")]})
    except EngineError as error:  # the next sweep comes
        say({"event": "error", "message": str(error)})


def in_order(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What makes load first."""
    return sorted(found, key=lambda entry: role_of(entry) not in FIRST)


def is_overdue(entry: dict[str, Any], now_s: float) -> bool:
    """Whether a container's deadline has passed, in seconds since 1970."""
    deadline = entry["Labels"]["ceiling.deadline"]
    return role_of(entry) != "warden" and deadline.isdigit() and int(deadline) <= now_s


def role_of(entry: dict[str, Any]) -> str:
    """What a container is for."""
    return str(entry["Labels"].get("ceiling.role", ""))


def say(event: dict[str, Any]) -> None:
    """One line of JSON on standard output."""
    print(json.dumps(event), flush=True)  # noqa: T201 - the contract's channel


def main(folder: Path) -> int:
    """Run, and return the exit status."""
    config = json.loads((folder / "config.json").read_text())
    engine = Engine(config["socket"])
    try:
        engine.containers(["ceiling.run"])
    except EngineError as error:
        say({"event": "error", "message": str(error)})
        return 1
    return watch(engine, config["labels"], config["lease_s"])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
