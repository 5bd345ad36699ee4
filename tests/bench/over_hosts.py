"""What the road over hosts costs: images on their way, a trial beyond its load, the start of two clients, a look at all hosts.

On hosts that are made for it, as containers of this machine (`harness testbed`), by the commands that a user calls. The bounds are
those that the harness was built to. Run it alone: `python -m tests.bench.over_hosts`.

Exit status: 0 every bound holds; 1 one is missed; 3 there is no Docker engine here, or a command failed.
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from harness import store
from harness.readings import starts_apart_ns
from harness.result import TrialResult
from tests.bench.beside import NotMeasuredError, say

ROOT = Path(__file__).resolve().parents[2]
NAME = "testbed-bench"
INVENTORY = ROOT / "experiments" / "hosts" / f"{NAME}.yaml"
DEADLINE_S = 600.0
LOOKS = 5
EXIT_MISSED, EXIT_CANNOT_RUN = 1, 3

IMAGES_MB, IMAGES_S = 170.0, 15.0
OVERHEAD_S = 4.0
START_MS = 20.0
CHECK_S = 3.0

SPREAD = """\
version: 1
title: What does a trial over three hosts cost?
base: {model: reactor, servers: 2, balancer: haproxy-tcp, load: {connections: 8, warmup: 100 ms, window: 1 s}}
repeats: 12
canary: false
"""
TOGETHER = """\
version: 1
title: How far apart do two clients begin?
base: {model: reactor, clients: 2, load: {kind: open, rate: 200/s, connections: 8, warmup: 100 ms, window: 1 s}}
repeats: 12
canary: false
"""


def main() -> int:
    """Measure all of it, print a row for each value."""
    try:
        with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as folder:
            held = [*_on_three(Path(folder)), _looks_at_four()]
    except NotMeasuredError as error:
        say(f"not measured: {error}")
        return EXIT_CANNOT_RUN
    return 0 if all(held) else EXIT_MISSED


def _on_three(folder: Path) -> Iterator[bool]:
    with testbed(3):
        said, trials = _run(folder, "spread", SPREAD, INVENTORY)
        shipped = re.search(r"(\d+) MB to 3 hosts in ([\d.]+) s", said)
        if shipped is None:
            raise NotMeasuredError(f"no images were sent:\n{said}")
        megabytes, seconds = float(shipped[1]), float(shipped[2])
        yield _row(f"images of {megabytes:.0f} MB to 3 hosts", seconds, "s", IMAGES_S) and megabytes >= IMAGES_MB
        overheads = [trial.overhead_s for trial in trials]
        yield _row(f"overhead of a trial, median of {len(trials)}", statistics.median(overheads), "s", OVERHEAD_S)
        _, trials = _run(folder, "together", TOGETHER, _two_clients(folder))
        apart_ms = max(map(_apart_ms, trials))
        yield _row(f"two clients begin apart by at most, in {len(trials)} trials", apart_ms, "ms", START_MS)


def _looks_at_four() -> bool:
    with testbed(4):
        seconds = []
        for _ in range(LOOKS):
            began_s = time.monotonic()
            _harness("hosts", "check", str(INVENTORY))
            seconds.append(time.monotonic() - began_s)
        return _row(f"`harness hosts check` of 4 hosts, median of {LOOKS}", statistics.median(seconds), "s", CHECK_S)


def _apart_ms(trial: TrialResult) -> float:
    """How far apart the clients of a trial began, and what the clocks of their hosts leave open."""
    apart_ns = starts_apart_ns(trial.client_shares, trial.hosts)
    if apart_ns is None:
        raise NotMeasuredError(f"{trial.id} does not say when its clients began")
    return apart_ns / 1e6


@contextmanager
def testbed(hosts: int) -> Iterator[None]:
    """So many hosts, gone afterwards."""
    _harness("testbed", "up", "--name", NAME, "--hosts", str(hosts))
    try:
        yield
    finally:
        _harness("testbed", "down", "--name", NAME)


def _two_clients(folder: Path) -> Path:
    """The same hosts, two of them for load clients."""
    inventory: dict[str, Any] = yaml.safe_load(INVENTORY.read_text())
    inventory["known_hosts"] = str((INVENTORY.parent / inventory["known_hosts"]).resolve())
    for host, role in zip(inventory["hosts"].values(), ("client", "client", "server"), strict=True):
        host["roles"] = [role]
        host["key"] = str((INVENTORY.parent / host["key"]).resolve())
    path = folder / "two-clients.yaml"
    path.write_text(yaml.safe_dump(inventory))
    return path


def _run(folder: Path, name: str, spec: str, inventory: Path) -> tuple[str, Sequence[TrialResult]]:
    """What a run says, and the records of its trials."""
    path = folder / f"{name}.yaml"
    path.write_text(spec)
    said = _harness("run", str(path), "--hosts", str(inventory), "--results", str(folder / "results"))
    trials = store.read_trials(folder / "results" / name / "latest")
    if not trials or any(trial.state == "failed" for trial in trials):
        raise NotMeasuredError(f"trials failed:\n{said}")
    return said, trials


def _harness(*arguments: str) -> str:
    """All that a command prints.

    Raises:
        NotMeasuredError: it ended with another status than 0.
    """
    argv: Sequence[str] = (sys.executable, "-m", "harness", *arguments)
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode:
        raise NotMeasuredError(f"`harness {' '.join(arguments)}` ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def _row(what: str, measured: float, unit: str, most: float) -> bool:
    holds = measured <= most
    say(f"  {'ok' if holds else 'MISSED':<9} {what}: {measured:.3g} {unit} (≤ {most:g} {unit})")
    return holds


if __name__ == "__main__":
    sys.exit(main())
