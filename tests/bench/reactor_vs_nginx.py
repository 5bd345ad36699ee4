"""Requests per server CPU-second, the reactor against nginx with one worker, side by side under the same load.

Both in turn on one core, wrk on the other. nginx answers from memory (`return 200`), the quickest it can; the reactor
parses, handles and answers as in any experiment. Run it alone: `python -m tests.bench.reactor_vs_nginx`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.beside import (
    BODY_BYTES,
    DEADLINE_S,
    IMAGES,
    Ratio,
    alternate,
    await_port,
    free_port,
    missing_tools,
    nginx,
    options_of,
    run_wrk,
    say,
)

BOUND = 0.7


@contextmanager
def reactor(core: int) -> Iterator[tuple[int, int]]:
    """The reactor on a core; gives port and process id."""
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        folder, port = Path(name), free_port()
        config = {
            "contract": 1,
            "model": "reactor",
            "host": "127.0.0.1",
            "port": port,
            "backlog": 4096,
            "options": {},
            "handler": {"kind": "body", "body_bytes": BODY_BYTES, "cpu_iterations": 0, "log": "off"},
        }
        (folder / "out").mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        server = subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, "server.py", name],
            cwd=IMAGES / "reactor",
            env={**os.environ, "PYTHONPATH": str(IMAGES)},
            stdout=subprocess.DEVNULL,
        )
        try:
            await_port(port)
            yield port, server.pid
        finally:
            server.terminate()
            server.wait(DEADLINE_S)


def cpu_s(pid: int) -> float:
    """CPU of a process and its children so far, to the nanosecond (schedstat)."""
    family = [psutil.Process(pid), *psutil.Process(pid).children()]
    tasks = [task for process in family for task in Path(f"/proc/{process.pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def per_server_cpu_s(port: int, pid: int, connections: int, seconds: float, core: int) -> float:
    """Requests per CPU-second of the server, in one run of wrk."""
    before_s = cpu_s(pid)
    done = run_wrk(port, connections, seconds, core)
    return done.requests / (cpu_s(pid) - before_s)


def compare(connections: int, pairs: int, seconds: float) -> bool:
    """Print one row of the table; whether the bound holds."""
    cores = sorted(os.sched_getaffinity(0))
    with reactor(cores[0]) as (our_port, our_pid), nginx(cores[0]) as (their_port, their_pid):
        ours, theirs = alternate(
            pairs,
            lambda: per_server_cpu_s(our_port, our_pid, connections, seconds, cores[-1]),
            lambda: per_server_cpu_s(their_port, their_pid, connections, seconds, cores[-1]),
        )
    ratio = Ratio.of(ours, theirs)
    holds = ratio.mean >= BOUND
    say(
        f"{connections:>5}  {sum(ours) / pairs:>12,.0f}  {sum(theirs) / pairs:>12,.0f}  "
        f"{ratio.mean:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]  {'holds' if holds else 'MISSED'}"
    )
    return holds


def main(arguments: Sequence[str] = ()) -> int:
    """Compare at each number of connections; 0 the bound holds, 1 it is missed, 3 a tool is not installed."""
    options = options_of(arguments, "The reactor against nginx: requests per server CPU-second.")
    if missing_tools():
        return 3
    say(f"requests per server CPU-second, {options.pairs} pairs of {options.seconds:g} s, bound {BOUND} × nginx")
    say("    c   the reactor         nginx  ratio [95 %]")
    held = [compare(connections, options.pairs, options.seconds) for connections in options.connections]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
