"""Gate of docs/method.md: requests per client CPU-second, the load client against wrk, side by side on the same server.

nginx with one worker on one core, wrk and the client in turn on the other. Each tool's CPU is its own whole CPU, with
parsing and folding; only the client's start (interpreter, imports, connecting) is left out, which wrk, a C program,
does not have. Run it alone: `python -m tests.bench.client_vs_wrk`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.bench.beside import (
    IMAGES,
    Measured,
    NotMeasuredError,
    Ratio,
    alternate,
    missing_tools,
    nginx,
    options_of,
    run_wrk,
    say,
)

BOUND = 0.9


def run_client(port: int, connections: int, seconds: float, core: int) -> Measured:
    """One run of the load client, closed loop."""
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        folder = Path(name)
        config = {
            "format": 1,
            "url": f"http://127.0.0.1:{port}/",
            "connections": connections,
            "warmup_s": 0.1,
            "window_s": seconds,
        }
        (folder / "config.json").write_text(json.dumps(config))
        command = ["taskset", "-c", str(core), sys.executable, str(IMAGES / "client" / "main.py"), name]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(IMAGES)}
        ) as client:
            assert client.stdout is not None
            client.stdout.readline()  # ready
            times = psutil.Process(client.pid).cpu_times()
            client.stdout.read()
            _, status, usage = os.wait4(client.pid, 0)
            client.returncode = status
        report = json.loads((folder / "out" / "client.json").read_text())
        if status or report["errors"] or report["connections_served"] != connections:
            raise NotMeasuredError(f"the client did not measure what was asked: status {status}, {report['errors']}")
        cpu_s = usage.ru_utime + usage.ru_stime - times.user - times.system
        return Measured(report["life_ok"] - connections, cpu_s, seconds + 0.1)


def compare(connections: int, pairs: int, seconds: float) -> bool:
    """Print one row of the table; whether the bound holds."""
    cores = sorted(os.sched_getaffinity(0))
    with nginx(cores[0]) as (port, _):
        ours, theirs = alternate(
            pairs,
            lambda: run_client(port, connections, seconds, cores[-1]),
            lambda: run_wrk(port, connections, seconds, cores[-1]),
        )
    ratio = Ratio.of([run.per_cpu_s for run in ours], [run.per_cpu_s for run in theirs])
    rate = Ratio.of([r.requests / r.elapsed_s for r in ours], [r.requests / r.elapsed_s for r in theirs])
    holds = ratio.mean >= BOUND
    say(
        f"{connections:>5}  {_mean(ours):>12,.0f}  {_mean(theirs):>12,.0f}  "
        f"{ratio}  {rate}  "
        f"{'holds' if holds else 'MISSED'}",
    )
    return holds


def _mean(runs: Sequence[Measured]) -> float:
    return sum(run.per_cpu_s for run in runs) / len(runs)


def main(arguments: Sequence[str] = ()) -> int:
    """Compare at each number of connections; 0 the bound holds, 1 it is missed, 3 a tool is not installed."""
    options = options_of(arguments, "The load client against wrk: requests per client CPU-second.")
    if missing_tools():
        return 3
    say(f"requests per client CPU-second, {options.pairs} pairs of {options.seconds:g} s, bound {BOUND} × wrk")
    say("    c    the client           wrk  ratio [95 %]          throughput ratio [95 %]")
    held = [compare(connections, options.pairs, options.seconds) for connections in options.connections]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
