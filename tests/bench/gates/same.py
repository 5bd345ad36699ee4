"""Gate: a thing compared with itself is seldom called different, by real runs and the harness's own statistics."""

import random
from collections.abc import Sequence
from functools import partial

from harness.analysis.statistics import RUNS_FOR_VERDICT, ratio
from tests.bench.beside import rounds
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.client import ClientRun, all_right, run_client
from tests.bench.gates.quantiles import quantile_us
from tests.bench.gates.record import Line, at_most, published
from tests.bench.servers import Model, serving

PAIRS = 20
MOST_DIFFERENT = 3
CONNECTIONS = 32
WINDOW_S = 0.4

METHOD = f"""\
{PAIRS} times a comparison as a report makes it: two sides, {RUNS_FOR_VERDICT} blocks (the fewest from which a report gives a verdict), the order within a block drawn, a fresh server and a fresh client for each run. Both sides are the
same reactor under the same closed loop ({CONNECTIONS} connections, {WINDOW_S:g} s). A pair is called different where the harness's interval of the ratio (`analysis.statistics.ratio`: Student's t on log ratios paired by
block) leaves out 1. At 95 % about one in twenty does by chance."""

Pair = tuple[float, float]


def measure(bench: Bench) -> Measured:
    """All comparisons, one after the other."""
    pairs = bench.times(PAIRS, least=3)
    order = random.Random(11)
    found = [[_block(bench, order) for _ in range(RUNS_FOR_VERDICT)] for _ in range(pairs)]
    rates = [[(a.rate_per_s, b.rate_per_s) for a, b in blocks] for blocks in found]
    tails = [[(_p99_us(a), _p99_us(b)) for a, b in blocks] for blocks in found]
    most = MOST_DIFFERENT * pairs / PAIRS
    rows = [
        at_most("pairs called different, throughput", f"of {pairs}", different(rates), most),
        published("pairs called different, p99", f"of {pairs}", different(tails)),
    ]
    return Measured(rows, [line_of(rates)], {"pairs": pairs, "blocks of each": RUNS_FOR_VERDICT})


def different(found: Sequence[Sequence[Pair]]) -> int:
    """How many of these comparisons the harness calls different."""
    verdicts = [ratio(pairs, seed=number) for number, pairs in enumerate(found)]
    return sum(verdict is not None and verdict.excludes_one for verdict in verdicts)


def line_of(found: Sequence[Sequence[Pair]]) -> Line:
    """The ratio of each comparison with its interval."""
    known = [one for number, pairs in enumerate(found) if (one := ratio(pairs, seed=number)) is not None]
    return Line(
        name="ratio of throughput",
        x=tuple(range(1, len(known) + 1)),
        y=tuple(one.ratio for one in known),
        low=tuple(one.low or one.ratio for one in known),
        high=tuple(one.high or one.ratio for one in known),
    )


def _block(bench: Bench, order: random.Random) -> tuple[ClientRun, ClientRun]:
    """Both sides once, in a drawn order; made again where a run did not measure what was asked, a few times."""
    first, second = rounds({"first": partial(_run, bench), "second": partial(_run, bench)}, 1).values()
    return (first[0], second[0]) if order.random() < 0.5 else (second[0], first[0])


def _run(bench: Bench) -> ClientRun:
    with serving(Model("reactor"), bench.server_core) as server:
        run = run_client(
            server.port,
            bench.client_core,
            connections=CONNECTIONS,
            warmup_s=0.1,
            window_s=max(bench.seconds(WINDOW_S), 0.3),
        )
        return all_right(run, CONNECTIONS)


def _p99_us(run: ClientRun) -> float:
    return quantile_us(run.report.histograms["response"], 99) or 0.0


GATE = Gate("same", "A/A", METHOD, measure)
