"""What the benchmarks share: nginx on a core, wrk on another, and the ratio of two sides with its interval.

Two sides are measured in one run, in turn, and the order of each pair alternates: whatever the machine does to one it
does to the other.
"""

import argparse
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scipy import stats

IMAGES = Path(__file__).resolve().parents[2] / "images"
DEADLINE_S = 30.0
BODY_BYTES = 128
MOST_BROKEN = 3
Side = TypeVar("Side")
_NGINX = """daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type application/octet-stream; return 200 "{body}"; }} }} }}
"""


class NotMeasuredError(Exception):
    """A run that does not count, with what it printed."""


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

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """Of two series, pair by pair."""
        logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
        centre = sum(logs) / len(logs)
        spread = math.sqrt(sum((x - centre) ** 2 for x in logs) / (len(logs) - 1) / len(logs))
        half = float(stats.t.ppf(0.975, len(logs) - 1)) * spread
        return cls(math.exp(centre), math.exp(centre - half), math.exp(centre + half))


def free_port() -> int:
    """A TCP port of loopback that nothing listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def nginx(core: int) -> Iterator[tuple[int, int]]:
    """nginx with one worker on a core, answering from memory (`return 200`, its quickest way); gives port and process id."""
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        port = free_port()
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, body="x" * BODY_BYTES))
        server = subprocess.Popen(["taskset", "-c", str(core), "nginx", "-p", name, "-c", f"{name}/nginx.conf"])
        try:
            await_port(port)
            yield port, server.pid
        finally:
            server.terminate()
            server.wait(DEADLINE_S)


def await_port(port: int) -> None:
    """Wait until something listens on a port of loopback.

    Raises:
        OSError: nothing does within 30 s.
    """
    deadline = time.monotonic() + DEADLINE_S
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
        raise NotMeasuredError(f"wrk did not measure what was asked:\n{output}")
    return Measured(int(found[1]), usage.ru_utime + usage.ru_stime, float(found[2]))


def rounds(sides: Mapping[str, Callable[[], Side]], number: int) -> dict[str, list[Side]]:
    """Each side once a round, in an order that rotates.

    A round of which a run did not measure what was asked (the machine stood still, say) is said and made again, a few times.

    Raises:
        NotMeasuredError: too many were.
    """
    found: dict[str, list[Side]] = {name: [] for name in sides}
    names, broken, done = list(sides), 0, 0
    while done < number:
        at = (done + broken) % len(names)
        try:
            one = {name: sides[name]() for name in names[at:] + names[:at]}
        except NotMeasuredError as error:
            broken += 1
            if broken > MOST_BROKEN:
                raise
            say(f"a round is made again: {error}")
            continue
        for name, value in one.items():
            found[name].append(value)
        done += 1
    return found


def options_of(
    arguments: Sequence[str], description: str, connections: Sequence[int] = (10, 100), pairs: int = 16
) -> argparse.Namespace:
    """What every comparison may be told: `connections`, `pairs`, `seconds`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--connections", type=int, nargs="+", default=list(connections))
    parser.add_argument("--pairs", type=int, default=pairs, help=f"alternations (default {pairs})")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each run (default 2)")
    return parser.parse_args(arguments)


def missing_tools() -> bool:
    """Whether a tool of the benchmarks is not installed; says which."""
    missing = [tool for tool in ("nginx", "wrk", "taskset") if shutil.which(tool) is None]
    if missing:
        say(f"not installed: {', '.join(missing)}; apt-get install nginx-light wrk util-linux")
    return bool(missing)


def say(line: str) -> None:
    """A line of the table, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
