"""Gate: the schedule is what it says it is, on paper and on the wire."""

from collections.abc import Callable

import numpy as np

from client.books.buckets import Ints
from client.config import Config
from client.pace.schedule import Share, schedule_of, times_until
from tests.bench.gates.anderson import p_value
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.client import run_client
from tests.bench.gates.record import Row, at_least, at_most, published
from tests.bench.truth.stamps import stamping
from tests.bench.truth.timer import lateness_ns

ALPHA = 0.001
SEEDS = (1, 2, 3, 4, 5)
PARTS = 4
RATE_PER_S = 1_000.0
LENGTH_S = 20.0
SENT_RATES_PER_S = (100, 1_000)
SENT_S = 5.0
MOST_CV = 0.05

METHOD = f"""\
Poisson: of each of {len(SEEDS)} seeds the gaps of {LENGTH_S:g} s at {RATE_PER_S:,.0f}/s are held against the exponential distribution of that rate (Anderson–Darling, nothing estimated from the sample), and the times against the
uniform one; so they are for the schedules of {PARTS} processes of one client merged, and of {PARTS} clients with seeds of their own merged. The row shows the least p of the seeds: it is on the schedule, so it is the same on every
machine. Constant: a server that polls on a core of its own and never sleeps stamps each arrival; the coefficient of variation of the gaps is what the client's sends and the loopback make of an even schedule. The
floor is that of the gaps between the wake-ups of a bare timerfd loop."""


def measure(bench: Bench) -> Measured:
    """On paper, then on the wire."""
    on_paper: dict[str, Callable[[int], Ints]] = {
        "one process": lambda seed: times_of(seed, RATE_PER_S),
        f"{PARTS} processes merged": lambda seed: np.concatenate(
            [times_of(seed, RATE_PER_S, Share(index, PARTS)) for index in range(PARTS)]
        ),
        f"{PARTS} clients merged": lambda seed: np.concatenate(
            [times_of(seed * 100 + client, RATE_PER_S / PARTS) for client in range(PARTS)]
        ),
    }
    rows: list[Row] = []
    for name, times in on_paper.items():
        gaps, places = zip(*(p_values(times(seed), RATE_PER_S) for seed in SEEDS), strict=True)
        rows.append(at_least(f"Poisson, {name}: p of the gaps, least of {len(SEEDS)} seeds", "", min(gaps), ALPHA))
        rows.append(at_least(f"Poisson, {name}: p of the times, least of {len(SEEDS)} seeds", "", min(places), ALPHA))
    for rate_per_s in SENT_RATES_PER_S:
        rows += _sent(bench, rate_per_s)
    return Measured(rows, facts={"requests per second": RATE_PER_S, "length in s": LENGTH_S})


def times_of(seed: int, rate_per_s: float, share: Share | None = None) -> Ints:
    """Intended times from the client's own schedule, ns from 0."""
    config = Config(
        url="http://127.0.0.1/",
        kind="open",
        rate_per_s=rate_per_s,
        arrivals="poisson",
        seed=seed,
        processes=share.of if share else 1,
    )
    schedule = schedule_of(config, share or Share(), 0)
    return np.array(list(times_until(schedule, round(LENGTH_S * 1e9))), np.int64)


def p_values(times_ns: Ints, rate_per_s: float) -> tuple[float, float]:
    """Anderson–Darling p of the gaps against the exponential distribution, and of the times against the uniform one."""
    times_s = np.sort(times_ns) / 1e9
    gaps = np.diff(times_s, prepend=0.0)
    smallest = 0.5e-9  # times are whole nanoseconds: two may be the same
    return p_value(-np.expm1(-np.maximum(gaps, smallest) * rate_per_s)), p_value(times_s / LENGTH_S)


def variation(times_ns: Ints) -> float:
    """Coefficient of variation of the gaps between times."""
    gaps = np.diff(times_ns)
    return float(gaps.std(ddof=1) / gaps.mean())


def _sent(bench: Bench, rate_per_s: int) -> list[Row]:
    """The rows of one constant rate."""
    seconds = bench.seconds(SENT_S)
    late_ns = np.array(lateness_ns(rate_per_s, seconds, bench.client_core))
    floor = variation(late_ns + np.arange(len(late_ns)) * (1e9 / rate_per_s))
    with stamping(bench.server_core) as server:
        run = run_client(
            server.port,
            bench.client_core,
            kind="open",
            rate_per_s=rate_per_s,
            connections=20,
            warmup_s=0.5,
            window_s=seconds,
        )
        stamps = np.array(server.stop())
    begin_ns, end_ns = run.report.window_start_ns, run.report.window_end_ns
    inside = stamps[(stamps >= begin_ns) & (stamps < end_ns)]
    return [
        at_most(
            f"constant, {rate_per_s:,}/s: variation of the gaps at the server", "", variation(inside), MOST_CV, floor
        ),
        published(f"constant, {rate_per_s:,}/s: arrivals", f"of {run.report.intended:,} intended", len(inside)),
    ]


GATE = Gate("schedule", "Schedule", METHOD, measure)
