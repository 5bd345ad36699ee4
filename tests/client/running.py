"""Running the client as whoever uses it does: a folder, a process, its lines and its report."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.raw import ClientReport

IMAGES = Path(__file__).resolve().parents[2] / "images"
DEADLINE_S = 40.0


@dataclass
class Ended:
    """What a run left behind."""

    status: int
    events: list[dict[str, Any]]
    folder: Path

    @property
    def report(self) -> ClientReport:
        """Its report, read as strictly as the harness reads it."""
        return ClientReport.model_validate_json((self.folder / "out" / "client.json").read_text())

    def names(self) -> list[str]:
        """The names of the events in order, without the ticks."""
        return [event["event"] for event in self.events if event["event"] != "tick"]


def start(folder: Path, open_files: tuple[int, int] | None = None) -> "subprocess.Popen[str]":
    """Start the client on a folder as it is, perhaps under another limit of open files (soft, hard)."""
    limit = ["prlimit", f"--nofile={open_files[0]}:{open_files[1]}"] if open_files else []
    return subprocess.Popen(
        [*limit, sys.executable, "main.py", str(folder)],
        cwd=IMAGES / "client",
        env={**os.environ, "PYTHONPATH": str(IMAGES)},
        stdout=subprocess.PIPE,
        text=True,
    )


def configure(folder: Path, **settings: object) -> None:
    """Write its configuration: a short closed loop over two connections where the settings say nothing else."""
    (folder / "out").mkdir(exist_ok=True)
    defaults = {"format": 1, "warmup_s": 0.1, "window_s": 0.5, "timeout_s": 2.0, "connections": 2}
    (folder / "config.json").write_text(json.dumps({**defaults, **settings}))


@contextmanager
def client(folder: Path, **settings: object) -> Iterator["subprocess.Popen[str]"]:
    """The client as a process; killed at the end if it is still there."""
    configure(folder, **settings)
    process = start(folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def await_event(process: "subprocess.Popen[str]", name: str) -> dict[str, Any]:
    """Read on to the next event of this name."""
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"the client ended before `{name}`")


def finish(process: "subprocess.Popen[str]", folder: Path) -> Ended:
    """Wait for the end of a client."""
    output, _ = process.communicate(timeout=DEADLINE_S)
    return Ended(process.returncode, [json.loads(line) for line in output.splitlines()], folder)


def run(folder: Path, **settings: object) -> Ended:
    """Run the client to its end."""
    with client(folder, **settings) as process:
        return finish(process, folder)


def checked(ended: Ended) -> ClientReport:
    """The report of a run that went to its end, after the identities that hold for every report."""
    assert ended.status == 0, ended.events
    report = ended.report
    errors = sum(report.errors.values())
    assert report.intended == report.ok + errors
    assert report.sent <= report.intended
    connects, first_bytes = (sum(report.histograms[name].values()) for name in ("connect", "first_byte"))
    assert first_bytes + report.first_byte_missing >= connects
    if json.loads((ended.folder / "config.json").read_text()).get("lifetime") == "per-request":
        assert first_bytes + report.first_byte_missing == report.intended
        assert connects + report.connect_missing == report.intended - report.errors.get("unsent", 0)
    assert sum(report.per_100ms) == report.completed_in_window
    assert len(report.errors_per_100ms) == len(report.per_100ms)
    assert sum(report.histograms["response"].values()) == report.ok
    assert sum(report.histograms["service"].values()) == report.ok
    if report.schedule is not None:
        assert report.intended == report.schedule
    return report
