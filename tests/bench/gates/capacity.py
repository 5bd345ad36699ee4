"""Gate: the search for capacity finds it: a thousand times on a simulated clock, three times on a real server."""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

from harness.hosts.cores import available_cores, divide_cores
from harness.result import Capacity
from tests.bench.beside import NotMeasuredError
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.record import Line, Row, at_least, at_most, published
from tests.bench.truth.fixed_capacity import serving_exactly
from tests.bench.truth.simulated_capacity import CONFIRMATION_S, QUEUES, RESOLUTION, Found, Queue, searches, truth

ROOT = Path(__file__).resolve().parents[3]
SEARCHES = 1_000
COVERED = 0.93
REAL = 3
CAPACITIES_RPS = (1_000.0, 2_000.0, 3_000.0)
WITHIN = 0.02
DEADLINE_S = 400

METHOD = f"""\
Simulated: {SEARCHES:,} searches (harness/capacity.py, as it runs in a trial), over {len(QUEUES)} queues of one server whose requests and services come evenly or by chance, with a hiccup in one trial of a hundred; first rates are drawn, the resolution is {RESOLUTION:.0%}.
The truth is found without any search: the capacity itself where nothing is left to chance, else the rate at which half of the windows of {CONFIRMATION_S:g} s meet the limit. Real: `harness run` searches a server that works off its requests on an absolute
schedule, so that its capacity is exact ({", ".join(f"{rate:,.0f}" for rate in CAPACITIES_RPS)}/s, one search each); the arrivals are even, and the middle of the interval found must lie within {WITHIN:.0%} of it."""

_SPEC = """\
version: 1
title: A server of known capacity
base:
  model: {{url: "http://127.0.0.1:{port}"}}
  load: {{kind: capacity, rate: {start:g}/s, connections: 100, window: 1 s, confirmation: 4 s, warmup: 0.5 s, resolution: 3 %}}
  slo: {{p99: 20 ms}}
repeats: 1
"""


def measure(bench: Bench) -> Measured:
    """On the simulated clock, then on the real one."""
    count = bench.times(SEARCHES, least=50)
    rows = simulated_rows(count)
    lines = []
    for capacity_rps in CAPACITIES_RPS[: bench.times(REAL, least=1)]:
        found = search_of(capacity_rps)
        rows.append(real_row(capacity_rps, found))
        lines.append(_line(capacity_rps, found))
    return Measured(rows, lines, {"simulated searches": count})


def simulated_rows(count: int) -> list[Row]:
    """How often the interval holds the truth, over all queues and for each, and what it takes."""
    each = max(count // len(QUEUES), 2)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # nothing of it is timed
        found = dict(zip(QUEUES, pool.map(_searched, QUEUES, repeat(each)), strict=True))
    held = {queue: covering(all_of_one, truth_rps) for queue, (all_of_one, truth_rps) in found.items()}
    share, whole = sum(held.values()) / len(held), each * len(held)
    error = 2 * math.sqrt(share * (1 - share) / whole)
    trials = [one.steps for all_of_one, _ in found.values() for one in all_of_one]
    return [
        at_least(
            "simulated: intervals that hold the truth", "", share, COVERED, (share - error, min(share + error, 1.0))
        ),
        *(published(f"simulated, {queue.name}: intervals that hold it", "", held[queue]) for queue in QUEUES),
        published("simulated: trials of a search, mean", "", sum(trials) / whole),
    ]


def _searched(queue: Queue, number: int) -> tuple[list[Found], float]:
    return list(searches(queue, number)), truth(queue)


def covering(found: Sequence[Found], truth_rps: float) -> float:
    """The share of searches whose interval holds the truth; one without both ends does not."""
    return sum(one.covers(truth_rps) for one in found) / len(found)


def search_of(capacity_rps: float) -> Capacity:
    """One search of the harness on a real server.

    Raises:
        NotMeasuredError: it did not come to a result.
    """
    core = divide_cores(available_cores(), 1).server[0]  # as `harness run` divides them: its client has the others
    with (
        tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name,
        serving_exactly(core, capacity_rps) as port,
    ):
        folder = Path(name)
        spec = folder / "known.yaml"
        spec.write_text(_SPEC.format(port=port, start=capacity_rps / 3))
        command = [sys.executable, "-m", "harness", "run", str(spec), "--runtime", "process", "--results", name]
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        trials = list((folder / "known" / "latest" / "trials").glob("*/trial.json"))
        told = [json.loads(path.read_bytes())["capacity"] for path in trials]
        if done.returncode or len(told) != 1 or told[0] is None:
            raise NotMeasuredError(f"the search ended with status {done.returncode}: {done.stdout[-1_000:]}")
        return Capacity.model_validate_json(json.dumps(told[0]))


def real_row(capacity_rps: float, found: Capacity) -> Row:
    """How far the middle of the interval is from the truth."""
    name = f"real, {capacity_rps:,.0f}/s: middle of the interval, apart by"
    seconds = sum(step.window_s for step in found.steps)
    note = f"[{_rate(found.low_rps)}, {_rate(found.high_rps)}], {len(found.steps)} trials, {seconds:.0f} s of windows, {found.ended}"
    if found.low_rps is None or found.high_rps is None:
        return at_most(name, "", None, WITHIN, note=note)
    middle = (found.low_rps * found.high_rps) ** 0.5
    return at_most(name, "", abs(middle / capacity_rps - 1), WITHIN, note=note)


def _rate(rate_rps: float | None) -> str:
    return "?" if rate_rps is None else f"{rate_rps:,.0f}/s"


def _line(capacity_rps: float, found: Capacity) -> Line:
    """Rates tried, one after the other, over the truth."""
    rates: Sequence[float] = [step.rate_rps / capacity_rps for step in found.steps]
    return Line(name=f"{capacity_rps:,.0f}/s", x=tuple(range(1, len(rates) + 1)), y=tuple(rates))


GATE = Gate("capacity", "Capacity search", METHOD, measure)
