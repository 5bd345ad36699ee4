"""Gate of METHOD.md: requests per client CPU-second, the load client against wrk, side by side on the same server.

nginx with one worker on one core, wrk and the client in turn on the other, the order of each pair alternating. Each
tool's CPU is its own whole CPU, with parsing and folding; only the client's start (interpreter, imports, connecting) is
left out, which wrk, a C program, does not have. Run it alone: `python tests/bench/client_vs_wrk.py`.
"""

import argparse
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from scipy import stats

BOUND = 0.9
_IMAGES = Path(__file__).resolve().parents[2] / "images"
_DEADLINE_S = 30.0
_NGINX = """daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type application/octet-stream; return 200 "{body}"; }} }} }}
"""


@dataclass(frozen=True)
class Measured:
    """One run of one tool."""

    requests: int
    cpu_s: float
    elapsed_s: float

    @property
    def per_cpu_s(self) -> float:
        """Requests per CPU-second of the tool."""
        return self.requests / self.cpu_s


@dataclass(frozen=True)
class Ratio:
    """Geometric mean of paired ratios and its 95 % interval (Student's t on the logarithms)."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """Of two series, pair by pair."""
        logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
        centre = sum(logs) / len(logs)
        spread = math.sqrt(sum((x - centre) ** 2 for x in logs) / (len(logs) - 1) / len(logs))
        half = float(stats.t.ppf(0.975, len(logs) - 1)) * spread
        return cls(math.exp(centre), math.exp(centre - half), math.exp(centre + half))


@contextmanager
def nginx(core: int) -> Iterator[int]:
    """nginx with one worker on a core and a free port of loopback; gives the port."""
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, body="x" * 128))
        server = subprocess.Popen(["taskset", "-c", str(core), "nginx", "-p", name, "-c", f"{name}/nginx.conf"])
        try:
            _await_port(port)
            yield port
        finally:
            server.terminate()
            server.wait(_DEADLINE_S)


def _await_port(port: int) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def run_wrk(port: int, connections: int, seconds: float, core: int) -> Measured:
    """One run of wrk with one thread."""
    command = [
        "taskset",
        "-c",
        str(core),
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{math.ceil(seconds)}s",
        f"http://127.0.0.1:{port}/",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
        assert wrk.stdout is not None
        output = wrk.stdout.read()
        _, _, usage = os.wait4(wrk.pid, 0)
        wrk.returncode = 0
    found = re.search(r"(\d+) requests in ([\d.]+)s", output)
    if found is None or "Socket errors" in output or "Non-2xx" in output:
        raise RuntimeError(f"wrk did not measure what was asked:\n{output}")
    return Measured(int(found[1]), usage.ru_utime + usage.ru_stime, float(found[2]))


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
        command = ["taskset", "-c", str(core), sys.executable, str(_IMAGES / "client" / "main.py"), name]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(_IMAGES)}
        ) as client:
            assert client.stdout is not None
            client.stdout.readline()  # ready
            times = psutil.Process(client.pid).cpu_times()
            client.stdout.read()
            _, status, usage = os.wait4(client.pid, 0)
            client.returncode = status
        report = json.loads((folder / "out" / "client.json").read_text())
        if status or report["errors"] or report["connections_served"] != connections:
            raise RuntimeError(f"the client did not measure what was asked: status {status}, {report['errors']}")
        cpu_s = usage.ru_utime + usage.ru_stime - times.user - times.system
        return Measured(report["life_ok"] - connections, cpu_s, seconds + 0.1)


def compare(connections: int, pairs: int, seconds: float) -> bool:
    """Print one row of the table; whether the bound holds."""
    cores = sorted(os.sched_getaffinity(0))
    ours: list[Measured] = []
    theirs: list[Measured] = []
    with nginx(cores[0]) as port:
        for pair in range(pairs):
            turns = [(ours, run_client), (theirs, run_wrk)]
            for into, run in turns if pair % 2 else reversed(turns):
                into.append(run(port, connections, seconds, cores[-1]))
    ratio = Ratio.of([run.per_cpu_s for run in ours], [run.per_cpu_s for run in theirs])
    rate = Ratio.of([r.requests / r.elapsed_s for r in ours], [r.requests / r.elapsed_s for r in theirs])
    holds = ratio.mean >= BOUND
    _say(
        f"{connections:>5}  {_mean(ours):>12,.0f}  {_mean(theirs):>12,.0f}  "
        f"{ratio.mean:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]  {rate.mean:.3f} [{rate.low:.3f}, {rate.high:.3f}]  "
        f"{'holds' if holds else 'MISSED'}",
    )
    return holds


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _mean(runs: Sequence[Measured]) -> float:
    return sum(run.per_cpu_s for run in runs) / len(runs)


def main(arguments: Sequence[str] = ()) -> int:
    """Compare at each number of connections; 0 the bound holds, 1 it is missed, 3 a tool is not installed."""
    parser = argparse.ArgumentParser(description="The load client against wrk: requests per client CPU-second.")
    parser.add_argument("--connections", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--pairs", type=int, default=10, help="alternations (default 10)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each run (default 2)")
    options = parser.parse_args(arguments)
    missing = [tool for tool in ("nginx", "wrk", "taskset") if shutil.which(tool) is None]
    if missing:
        _say(f"not installed: {', '.join(missing)}; apt-get install nginx-light wrk util-linux")
        return 3
    _say(f"requests per client CPU-second, {options.pairs} pairs of {options.seconds:g} s, bound {BOUND} × wrk")
    _say("    c    the client           wrk  ratio [95 %]          throughput ratio [95 %]")
    held = [compare(connections, options.pairs, options.seconds) for connections in options.connections]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
