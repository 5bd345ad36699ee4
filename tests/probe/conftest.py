"""The probe as it is run from the checkout, and processes to watch."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

IMAGES = Path(__file__).parents[2] / "images"
DEADLINE_S = 20.0

Target = Callable[[str], "subprocess.Popen[str]"]


class RunningProbe:
    """A probe that has been started."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder = folder
        (folder / "out").mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"format": 1} | config))
        self.process = subprocess.Popen(
            [sys.executable, "main.py", str(folder)],
            cwd=IMAGES / "probe",
            env={**os.environ, "PYTHONPATH": str(IMAGES)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def event(self) -> dict[str, Any]:
        """Its next line."""
        event: dict[str, Any] = json.loads(_line(self.process.stdout))
        return event

    def edge(self, number: signal.Signals = signal.SIGUSR1) -> dict[str, Any]:
        """Take an edge, and wait until it is taken."""
        self.process.send_signal(number)
        return self.event()

    def report(self) -> dict[str, Any]:
        """End it, and read what it wrote."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DEADLINE_S) == 0, self.process.stderr and self.process.stderr.read()
        report: dict[str, Any] = json.loads((self.folder / "out/probe.json").read_text())
        return report


Probe = Callable[..., RunningProbe]


@pytest.fixture
def probe(tmp_path: Path) -> Iterator[Probe]:
    """Start a probe; it is ready when this returns."""
    started: list[RunningProbe] = []

    def start(
        interval_s: float = 0.05, deadline_s: float = 60.0, own_network: str | None = None, **services: dict[str, int]
    ) -> RunningProbe:
        config = {
            "services": services,
            "watched_cpus": {"here": [0]},
            "own_network": own_network,
            "interval_s": interval_s,
            "deadline_s": deadline_s,
        }
        started.append(RunningProbe(tmp_path / f"probe-{len(started)}", config))
        assert started[-1].event() == {"event": "ready"}
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def target() -> Iterator[Target]:
    """Run a script that ends with its standard input; it is up when this returns."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str) -> "subprocess.Popen[str]":
        text = textwrap.dedent(script) + "\nprint('up', flush=True)\nimport sys; sys.stdin.read()"
        process = subprocess.Popen(
            [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert _line(process.stdout) == "up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def _line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()
