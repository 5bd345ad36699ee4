"""Models as the benchmarks run them: a plain process on a core, and the CPU that it and its workers have used."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.beside import BODY_BYTES, DEADLINE_S, IMAGES, await_port, free_port

sys.path.insert(0, str(IMAGES))  # run as a script, what the images share must be found
from harness.raw import ServerReport
from harness.spec.catalogue import load_model, option_values
from harness.spec.experiment import Scalar
from probe.processes import Table, cpu_s, read_stat

SETTLE_S = 5.0
OPEN_FILES = 4_096


@dataclass(frozen=True)
class Model:
    """One model with the options it is run with."""

    name: str
    options: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """For tables."""
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])

    def all_options(self) -> dict[str, Scalar]:
        """Every option of the model, as the server is given them."""
        model = load_model(IMAGES / self.name)
        defaults = {name: option.default for name, option in model.options.items()}
        return option_values(model, {**defaults, **self.options})


class Watched:
    """A server whose CPU is watched."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self.port = port

    def cpu_s(self) -> float:
        """CPU of its processes so far, of those that have ended too."""
        return sum(cpu_s(Table("/proc").tree(read_stat("/proc", self.pid))))

    def settled_cpu_s(self) -> float:
        """The same, once nothing runs any more of what the last load had it do, 5 s later at most."""
        deadline_s = time.monotonic() + SETTLE_S
        before_s = self.cpu_s()
        while time.monotonic() < deadline_s:
            time.sleep(0.05)
            now_s = self.cpu_s()
            if abs(now_s - before_s) < 0.002:  # while children end, a look may miss some of them
                return now_s
            before_s = now_s
        return before_s


class Running(Watched):
    """A model that serves."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
        super().__init__(process.pid, port)
        self._process = process
        self._folder = folder

    def stop(self) -> ServerReport:
        """End it, and read its exit report."""
        self._process.terminate()
        status = self._process.wait(DEADLINE_S)
        if status:
            raise RuntimeError(f"the server ended with status {status}")
        return ServerReport.model_validate_json((self._folder / "out" / "exit.json").read_bytes())


@contextmanager
def serving(model: Model, core: int, open_files: int = OPEN_FILES) -> Iterator[Running]:
    """A model on a core, each process with so many open files at most, killed at the end if it still runs."""
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        folder, port = Path(name), free_port()
        handler = {"kind": "body", "body_bytes": BODY_BYTES, "cpu_iterations": 0, "log": "off"}
        config = {
            "contract": 1,
            "model": model.name,
            "host": "127.0.0.1",
            "port": port,
            "backlog": 4096,
            "options": model.all_options(),
            "handler": {**handler, "backend": None, "fault": "none"},
        }
        (folder / "out").mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        process = subprocess.Popen(
            ["prlimit", f"--nofile={open_files}", "taskset", "-c", str(core), sys.executable, "server.py", name],
            cwd=IMAGES / model.name,
            env={**os.environ, "PYTHONPATH": str(IMAGES)},
            stdout=subprocess.DEVNULL,
        )
        try:
            await_port(port)
            yield Running(process, port, folder)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(DEADLINE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(DEADLINE_S)
