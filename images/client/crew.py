"""A client of several processes: the first makes them, hands on what it is told, and speaks for all of them.

The workers are forked, before there is any event loop or thread: what they need is imported and configured once, its
pages are shared, and nothing can be in the middle of anything. Each is a complete client with its share of the
connections and of the schedule, in a folder of its own, `DIR/workers/<number>/`; it says its events into a pipe. The
first process makes no load. It owns the pipes, and reaps the workers.

Nobody is left behind: workers ask the kernel to be killed when the first process dies, however it does, and the
end of a worker's pipe before it has said `done` ends the whole client.
"""

import gc
import json
import os
import selectors
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from client.books.merge import UnlikeError, merge
from client.config import Config
from client.errors import CannotRunError
from client.events import emit
from client.pace.schedule import Share
from client.worker import Work, Worker, become, carry_out

_POLL_S = 0.005  # how often a file is looked for
_HAND_OVER_NS = 30_000_000  # from the first process's word to every worker's first request
_PATIENCE_S = 60.0  # with somebody who is to put a file there, as in a client of one process
_GRACE_S = 30.0  # beyond what a stage takes by the configuration
_SLOWER = 5  # than asked for, connecting may be on a machine that cannot keep up

_clock = time.monotonic_ns


def run(config: Config, folder: Path, work: Work) -> None:
    """Run a client of `config.processes` processes to its end.

    Raises:
        CannotRunError: a worker could not run, or died; none is left then.
    """
    crew = Crew(config, folder)
    try:
        crew.live(work)
    finally:
        crew.disband()


def shares(config: Config) -> list[Config]:
    """Each worker's configuration: its connections, one more for the first ones, numbered on, and its sources in turn."""
    count, given, begun = config.processes, [], 0
    for number in range(count):
        connections = config.connections // count + (number < config.connections % count)
        first = begun % len(config.sources) if config.sources else 0
        given.append(
            replace(
                config,
                processes=1,
                connections=connections,
                first_connection=config.first_connection + begun,
                sources=config.sources[first:] + config.sources[:first],
                wait_for_start=True,
            )
        )
        begun += connections
    return given


class Crew:
    """The workers, and the steps of their life."""

    def __init__(self, config: Config, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()

    def live(self, work: Work) -> None:
        """The life cycle of docs/contract/README.md, each step when all have taken it."""
        config = self._config
        self._fork(work)
        connecting_s = _PATIENCE_S + _SLOWER * config.connections / config.connect_rate_per_s + config.timeout_s
        self._until_all("ready", connecting_s, hand_on="connect.json" if config.wait_to_connect else None)
        emit("ready")
        started = self._start()
        running_s = max(started["window_end_ns"] - _clock(), 0) / 1e9 + config.timeout_s
        self._until_all("drained", running_s)
        emit("drained")
        self._until_all("done", config.plateau_s, hand_on="release.json" if config.plateau_s else None)
        self._write_report()
        emit("done")

    def disband(self) -> None:
        """Kill and reap whoever is still there."""
        for worker in self._workers:
            os.close(worker.pipe)
            if not worker.reaped:
                os.kill(worker.pid, signal.SIGKILL)
                os.waitpid(worker.pid, 0)
        self._selector.close()

    def _fork(self, work: Work) -> None:
        count, cpus, own_pid = self._config.processes, sorted(os.sched_getaffinity(0)), os.getpid()
        first, everyone = self._config.share
        shutil.rmtree(self._folder / "workers", ignore_errors=True)  # a start that an earlier run left there
        gc.freeze()  # what is there now stays for good: no collection shall copy its pages
        for number, config in enumerate(shares(self._config)):
            folder = self._folder / "workers" / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            reads, writes = os.pipe()
            pid = os.fork()
            if pid == 0:
                become(own_pid, writes, {cpus[number]} if len(cpus) >= count else set(cpus))
                carry_out(work, config, folder, Share(first + number, everyone))
            os.close(writes)
            worker = Worker(f"client process {number + 1} of {count}", pid, reads, folder)
            self._workers.append(worker)
            self._selector.register(reads, selectors.EVENT_READ, worker)

    def _start(self) -> dict[str, Any]:
        """Give all of them the same start; the event that says which."""
        asked_ns = self._await_start() if self._config.wait_for_start else 0
        start_ns = asked_ns if self._config.one_of_many else max(asked_ns, _clock() + _HAND_OVER_NS)
        self._hand_out("start.json", json.dumps({"start_ns": start_ns}))
        self._until_all("started", _GRACE_S)
        said = [worker.told["started"] for worker in self._workers]
        if any(each != said[0] for each in said):
            raise CannotRunError("the client's processes did not start at the same time; give the start earlier")
        emit(**said[0])
        return said[0]

    def _await_start(self) -> int:
        path = self._await_file("start.json")
        try:
            return int(json.loads(path.read_text())["start_ns"])
        except (ValueError, KeyError, TypeError) as error:
            raise CannotRunError(f'{path}: must be {{"start_ns": <nanoseconds>}}: {error!r}') from error

    def _await_file(self, name: str) -> Path:
        path, deadline_ns = self._folder / name, _clock() + round(_PATIENCE_S * 1e9)
        while not path.exists():
            if _clock() > deadline_ns:
                raise CannotRunError(f"no {name} within {_PATIENCE_S:g} s; whoever started the client is gone")
            self._listen(_POLL_S)
        return path

    def _until_all(self, name: str, length_s: float, hand_on: str | None = None) -> None:
        """Listen until every worker has said this.

        Args:
            name: of the event.
            length_s: how long the stage takes at most by the configuration.
            hand_on: a file that they wait for meanwhile, handed on as soon as it is there.
        """
        deadline_ns = _clock() + round((length_s + _GRACE_S) * 1e9)
        while silent := [worker for worker in self._workers if name not in worker.told]:
            if _clock() > deadline_ns:
                raise CannotRunError(f"{silent[0].name} did not come to `{name}` in {length_s + _GRACE_S:g} s")
            if hand_on is not None and (self._folder / hand_on).exists():
                self._hand_out(hand_on, (self._folder / hand_on).read_text())
                hand_on = None
            self._listen(_POLL_S if hand_on is not None else 1.0)

    def _hand_out(self, name: str, text: str) -> None:
        for worker in self._workers:
            _write_whole(worker.folder / name, text)

    def _listen(self, most_s: float) -> None:
        """Take in what workers have said by now, or say within this time."""
        for key, _ in self._selector.select(most_s):
            worker: Worker = key.data
            said = os.read(worker.pipe, 1 << 16)
            if not said:
                self._selector.unregister(worker.pipe)
                worker.reap()
                continue
            *lines, worker.unread = (worker.unread + said).split(b"\n")
            for line in lines:
                worker.hear(json.loads(line))
        self._tick()

    def _tick(self) -> None:
        """Pass on the sum of their ticks, when each that still runs has one; a drained one's last stands for it."""
        while all(worker.ticks or "drained" in worker.told for worker in self._workers):
            if not any(worker.ticks for worker in self._workers):
                return
            for worker in self._workers:
                if worker.ticks:
                    worker.last_tick = worker.ticks.popleft()
            last = [worker.last_tick for worker in self._workers]
            counts = {name: sum(tick[name] for tick in last) for name in ("ok", "errors", "connections")}
            emit("tick", at_ns=max(tick["at_ns"] for tick in last), **counts)

    def _write_report(self) -> None:
        """The one report, which appears whole or not at all."""
        reports = [json.loads((worker.folder / "out" / "client.json").read_text()) for worker in self._workers]
        try:
            merged = merge(reports)
        except UnlikeError as error:
            raise CannotRunError(f"the reports of the client's processes do not fit together: {error}") from error
        out = self._folder / "out"
        out.mkdir(exist_ok=True)
        _write_whole(out / "client.json", json.dumps(merged))


def _write_whole(path: Path, text: str) -> None:
    half = path.with_suffix(".tmp")
    half.write_text(text)
    half.replace(path)
