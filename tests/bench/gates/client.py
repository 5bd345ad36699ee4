"""The load client, run as a process on its core, with what it counted and the CPU that it used."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.raw import ClientReport
from tests.bench.beside import IMAGES, NotMeasuredError

DEADLINE_S = 120.0  # beyond warm-up and window: connecting, draining, folding


@dataclass(frozen=True)
class ClientRun:
    """One run of the client.

    Attributes:
        report: what it counted.
        cpu_s: its CPU from `ready` to its end, folding included; its start (interpreter, imports, connecting) is not.
    """

    report: ClientReport
    cpu_s: float

    @property
    def window_s(self) -> float:
        """Length of the window."""
        return (self.report.window_end_ns - self.report.window_start_ns) / 1e9

    @property
    def rate_per_s(self) -> float:
        """Right answers per second of the window."""
        return self.report.completed_in_window / self.window_s

    @property
    def busy_share(self) -> float:
        """Share of a core that it used in the window."""
        return (self.report.cpu_user_s + self.report.cpu_system_s) / self.window_s


def run_client(
    port: int,
    core: int,
    *,
    started: Callable[[int], None] | None = None,
    **config: Any,
) -> ClientRun:
    """Run it against a port of loopback.

    Args:
        port: of 127.0.0.1.
        core: that it is pinned to.
        started: called with the window's start (CLOCK_MONOTONIC, ns) as soon as the client knows it.
        config: keys of the client's configuration beyond `format` and `url`.

    Raises:
        NotMeasuredError: it could not run, or did not end in time.
    """
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        folder = Path(name)
        asked = {"format": 1, "url": f"http://127.0.0.1:{port}/", **config}
        (folder / "config.json").write_text(json.dumps(asked))
        command = ["taskset", "-c", str(core), sys.executable, str(IMAGES / "client" / "main.py"), name]
        environment = {**os.environ, "PYTHONPATH": str(IMAGES)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as client:
            deadline_s = DEADLINE_S + config.get("warmup_s", 1.0) + config.get("window_s", 5.0)
            killer = threading.Timer(deadline_s, client.kill)
            killer.start()
            try:
                before_s, said = _follow(client, started)
                _, status, usage = os.wait4(client.pid, 0)
                client.returncode = os.waitstatus_to_exitcode(status)
            finally:
                killer.cancel()
        if status:
            raise NotMeasuredError(f"the client ended with status {client.returncode}: {said}")
        report = ClientReport.model_validate_json((folder / "out" / "client.json").read_bytes())
        return ClientRun(report, usage.ru_utime + usage.ru_stime - before_s)


def _follow(client: "subprocess.Popen[str]", started: Callable[[int], None] | None) -> tuple[float, str]:
    """Read what it says to the end; its CPU when it was ready, and its last words."""
    assert client.stdout is not None
    before_s, said = 0.0, ""
    for line in client.stdout:
        said = line.strip()
        event: Mapping[str, Any] = json.loads(line)
        if event["event"] == "ready":
            times = psutil.Process(client.pid).cpu_times()
            before_s = times.user + times.system
        elif event["event"] == "started" and started is not None:
            started(event["window_start_ns"])
    return before_s, said


def all_right(run: ClientRun, connections: int) -> ClientRun:
    """The run, if nothing went wrong in it.

    Raises:
        NotMeasuredError: there were errors, or connections that were not served.
    """
    report = run.report
    if report.errors or report.connections_served != connections:
        raise NotMeasuredError(
            f"errors {report.errors}, {report.connections_served} of {connections} connections served"
        )
    return run
