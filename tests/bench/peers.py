"""The other load generators, run beside the client: h2load and Locust for their rate, wrk and h2load for their percentiles.

wrk's rate is in beside.py. Each is pinned, has one thread, and its CPU is its whole process's.
"""

import json
import math
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.bench.beside import DEADLINE_S, Measured, NotMeasuredError

ROOT = Path(__file__).resolve().parents[2]
LOCUST = ROOT / ".venv" / "bench" / "bin" / "locust"
LOCUST_USERS = ROOT / "tests" / "bench" / "locust_users.py"
_UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


def run_h2load(port: int, connections: int, seconds: float, core: int) -> Measured:
    """One run of h2load over HTTP/1.1 with one thread.

    Raises:
        NotMeasuredError: it did not do what was asked.
    """
    output, cpu_s = _run(_h2load(port, connections, seconds), core, seconds)
    took = re.search(r"finished in ([\d.]+)s,", output)
    return Measured(_succeeded(output), cpu_s, float(took[1]) if took else float(math.ceil(seconds)))


def h2load_percentiles(port: int, connections: int, seconds: float, core: int) -> dict[float, float]:
    """Percentage: microseconds, of the log that h2load writes of its requests.

    Raises:
        NotMeasuredError: it did not do what was asked.
    """
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        log = Path(name) / "log"
        output, _ = _run([*_h2load(port, connections, seconds), f"--log-file={log}"], core, seconds)
        _succeeded(output)
        taken_us = np.loadtxt(log, usecols=2, dtype=np.int64)
    grid = (50.0, 75.0, 90.0, 99.0, 99.9, 99.99)
    values = np.quantile(taken_us, [percent / 100 for percent in grid], method="inverted_cdf")
    return dict(zip(grid, values.tolist(), strict=True))


def wrk_percentiles(port: int, connections: int, seconds: float, core: int) -> dict[float, float]:
    """Percentage: microseconds, as wrk prints them.

    Raises:
        NotMeasuredError: it printed none.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--latency", f"http://127.0.0.1:{port}/"]
    output, _ = _run(command, core, seconds)
    found = wrk_latencies(output)
    if not found:
        raise NotMeasuredError(f"wrk printed no percentiles:\n{output}")
    return found


def wrk_latencies(output: str) -> dict[float, float]:
    """Percentage: microseconds, of what `wrk --latency` prints."""
    lines = re.findall(r"^\s*(\d+)%\s+([\d.]+)(us|ms|s|m)\s*$", output, re.MULTILINE)
    return {float(percent): float(value) * _UNITS_US[unit] for percent, value, unit in lines}


def run_locust(port: int, users: int, seconds: float, core: int) -> Measured:
    """One run of Locust's FastHttpUser in one process, counted from when all its users are there.

    Raises:
        NotMeasuredError: it is not installed, or did not do what was asked.
    """
    if not LOCUST.exists():
        raise NotMeasuredError(
            "Locust is not installed: `make bench` makes its environment from requirements/bench.txt"
        )
    command = [str(LOCUST), "-f", str(LOCUST_USERS), "--headless", "--only-summary", "--loglevel", "WARNING"]
    command += [
        "-u",
        str(users),
        "-r",
        str(users),
        "-t",
        f"{math.ceil(seconds) + 2}s",
        "-H",
        f"http://127.0.0.1:{port}",
    ]
    output, _ = _run(command, core, seconds + 2)
    found = re.search(r"^measured (\{.*\})$", output, re.MULTILINE)
    counted = json.loads(found[1]) if found else {}
    if not counted or counted["failures"]:
        raise NotMeasuredError(f"Locust did not measure what was asked:\n{output[-2000:]}")
    return Measured(counted["requests"], counted["cpu_s"], counted["elapsed_s"])


def _h2load(port: int, connections: int, seconds: float) -> list[str]:
    return ["h2load", "--h1", "-t1", f"-c{connections}", f"-D{math.ceil(seconds)}", f"http://127.0.0.1:{port}/"]


def _succeeded(output: str) -> int:
    found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    if found is None or not int(found[1]) or any(map(int, found.groups()[1:])):
        raise NotMeasuredError(f"h2load did not measure what was asked:\n{output[-2000:]}")
    return int(found[1])


def _run(command: Sequence[str], core: int, seconds: float) -> tuple[str, float]:
    """What it printed, and its CPU."""
    before = os.times()
    done = subprocess.run(
        ["taskset", "-c", str(core), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds + DEADLINE_S,
        check=False,
    )
    after = os.times()
    if done.returncode:
        raise NotMeasuredError(f"{command[0]} ended with status {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout, after.children_user + after.children_system - before.children_user - before.children_system
