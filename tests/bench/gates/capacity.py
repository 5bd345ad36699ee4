"""Gate: the search for capacity finds it: a thousand times on a simulated clock, three times on a real server."""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.capacity import Search
from harness.result import Capacity
from harness.slo import REQUESTS_LEAST
from tests.bench.beside import NotMeasuredError
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.record import Line, Row, at_least, at_most, published
from tests.bench.truth.fixed_capacity import serving_exactly
from tests.bench.truth.simulated import Simulated

ROOT = Path(__file__).resolve().parents[3]
SEARCHES = 1_000
COVERED = 0.93
LIMIT, WINDOW, CONFIRMATION = 50, 4_000, 20_000  # in times of service
SHORT = 6_000  # a long window that is short for the resolution: what becomes of the search then is published
RESOLUTION = 0.05
REAL = 3
CAPACITIES_RPS = (1_000.0, 2_000.0, 3_000.0)
WITHIN = 0.02
DEADLINE_S = 400

METHOD = f"""\
Simulated: {SEARCHES:,} searches (harness/capacity.py, as it runs in a trial), each for a server that does one request at a time, each in the same time, with arrivals by chance. Capacities and first rates are drawn. The p99 may be {LIMIT} times
of service, short windows last {WINDOW:,} of these, long ones {CONFIRMATION:,}, the resolution is {RESOLUTION:.0%}. The truth is the rate at which half of the long windows meet the limit, from 500 windows a step. What long windows of only {SHORT:,} times of
service do to the search is published beside it: chance within a window is then wider than the resolution. Real: `harness run` searches a server that works off its requests on an absolute
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


Found = tuple[float | None, float | None, int]
"""Both ends of an interval, over the capacity, and the trials that it took."""


def measure(bench: Bench) -> Measured:
    """On the simulated clock, then on the real one."""
    count = bench.times(SEARCHES, least=50)
    rows = [*simulated_rows(count, np.random.default_rng(20))]
    lines = []
    for capacity_rps in CAPACITIES_RPS[: bench.times(REAL, least=1)]:
        found = search_of(bench, capacity_rps)
        rows.append(real_row(capacity_rps, found))
        lines.append(_line(capacity_rps, found))
    return Measured(rows, lines, {"simulated searches": count})


def simulated_rows(count: int, chance: np.random.Generator) -> list[Row]:
    """How often the interval holds the truth, and what it takes."""
    found, truth = simulate(count, CONFIRMATION, chance)
    share = covering(found, truth)
    error = 2 * math.sqrt(share * (1 - share) / count)
    both = [(low, high) for low, high, _ in found if low is not None and high is not None]
    short = covering(*simulate(max(count // 5, 20), SHORT, chance))
    return [
        at_least(
            "simulated: intervals that hold the truth", "", share, COVERED, (share - error, min(share + error, 1.0))
        ),
        published("simulated: searches with both ends", f"of {count:,}", len(both)),
        published("simulated: width of the interval, mean", "", float(np.mean([high / low - 1 for low, high in both]))),
        published("simulated: trials of a search, mean", "", float(np.mean([trials for _, _, trials in found]))),
        published("simulated: the truth, over the capacity", "", truth),
        published(f"simulated, long windows of {SHORT:,}: intervals that hold the truth", "", short),
    ]


def simulate(count: int, confirmation: int, chance: np.random.Generator) -> tuple[list[Found], float]:
    """So many searches, and the truth; rates over the capacity, since another capacity only stretches the clock."""
    truth = Simulated(1.0, float(LIMIT)).truth_rps(confirmation, chance)
    return [_search(confirmation, chance) for _ in range(count)], truth


def covering(found: Sequence[Found], truth: float) -> float:
    """The share of searches whose interval holds the truth; one without both ends does not."""
    return sum(low is not None and high is not None and low <= truth <= high for low, high, _ in found) / len(found)


def _search(confirmation: int, chance: np.random.Generator) -> Found:
    capacity_rps = float(np.exp(chance.uniform(np.log(100), np.log(20_000))))
    server = Simulated(capacity_rps, LIMIT / capacity_rps)
    search = Search(
        start_rps=capacity_rps * float(np.exp(chance.uniform(np.log(0.05), np.log(2.0)))),
        resolution=RESOLUTION,
        window_s=WINDOW / capacity_rps,
        confirmation_s=confirmation / capacity_rps,
        requests=REQUESTS_LEAST,
        limit_s=server.limit_s,
    )
    trials = 0
    while (step := search.next()) is not None:
        trials += 1
        search.tell(step, server.trial(step, chance))
    low, high = search.low_rps, search.high_rps
    return low and low / capacity_rps, high and high / capacity_rps, trials


def search_of(bench: Bench, capacity_rps: float) -> Capacity:
    """One search of the harness on a real server.

    Raises:
        NotMeasuredError: it did not come to a result.
    """
    with (
        tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name,
        serving_exactly(bench.server_core, capacity_rps) as port,
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
