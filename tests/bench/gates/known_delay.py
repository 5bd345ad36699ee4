"""Gate: response times of a server whose delays are known, against the delays that it says it made."""

from dataclasses import dataclass

from harness.raw import BackendReport
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.client import ClientRun, all_right, run_client
from tests.bench.gates.quantiles import GRID, added, known, line_of, quantile_us
from tests.bench.gates.record import Line, Row, at_most, not_run, published
from tests.bench.truth.awake import kept_awake
from tests.bench.truth.delay import delaying
from tests.bench.truth.timer import lateness_ns

RATE_PER_S = 2_000
WINDOW_S = 7.0
PERCENTS = (50, 99, 99.9)
SHARE, LEAST_US = 0.01, 100.0

METHOD = f"""\
`images/backend` answers each request after a delay that it waits for by timerfd, and records the delay that it really made. The client sends
{RATE_PER_S:,} requests/s, constant, open loop. Its percentiles of the response time (from the intended send to the whole answer) are held against the same percentiles of what the
server recorded. The difference holds the client's send lag, the kernel's way there and back, and both sides' wake-ups. Both cores are kept from
idling by a process of the class SCHED_IDLE, as a sleeping virtual core takes 40 µs and more to wake up on either side of every request; what
that adds is published. Bound: 1 % of the delay or 100 µs, whichever is more, or 1.5 × what the lateness of a bare timerfd loop at that rate adds to the
same percentile of the recorded delays (the two distributions added up, paired at random)."""


@dataclass(frozen=True)
class Case:
    """One distribution of delays."""

    name: str
    delay_s: float
    slow_s: float = 0.0
    slow_share: float = 0.0


CASES = (
    Case("1 ms", 0.001),
    Case("10 ms", 0.010),
    Case("100 ms", 0.100),
    Case("99.5 % 1 ms, 0.5 % 100 ms", 0.001, 0.100, 0.005),
)


def measure(bench: Bench) -> Measured:
    """All cases, one after the other."""
    seconds = bench.seconds(WINDOW_S)
    rows = [_asleep(*run_case(bench, CASES[0], seconds))]
    lines: list[Line] = []
    with kept_awake((bench.server_core, bench.client_core)):
        late = lateness_ns(RATE_PER_S, seconds, bench.client_core)
        for case in CASES:
            run, truth = run_case(bench, case, seconds)
            rows += rows_of(case, run, truth, late)
            for name, counts in (
                ("the server's record", truth.delays_ns),
                ("the client", run.report.histograms["response"]),
            ):
                lines.append(line_of(name, known(counts, GRID), case.name))
    return Measured(rows, lines, {"requests per second": RATE_PER_S, "window in s": seconds})


def run_case(bench: Bench, case: Case, seconds: float) -> tuple[ClientRun, BackendReport]:
    """One run; the client's side and the server's."""
    longest_s = max(case.delay_s, case.slow_s)
    connections = round(RATE_PER_S * longest_s * 1.5) + 20  # more than are ever in flight at once
    with delaying(bench.server_core, case.delay_s, case.slow_s, case.slow_share) as server:
        run = run_client(
            server.port,
            bench.client_core,
            kind="open",
            rate_per_s=RATE_PER_S,
            connections=connections,
            connect_rate_per_s=500.0,
            warmup_s=0.5,
            window_s=seconds,
        )
        return all_right(run, run.report.connections_served), server.stop()


def rows_of(case: Case, run: ClientRun, truth: BackendReport, late_ns: list[int]) -> list[Row]:
    """A row for each percentile."""
    return [_row(case, percent, run, truth, late_ns) for percent in PERCENTS]


def _asleep(run: ClientRun, truth: BackendReport) -> Row:
    """What sleeping cores add, which is no row of the gate."""
    ours, theirs = quantile_us(run.report.histograms["response"], 50), quantile_us(truth.delays_ns, 50)
    name = f"{CASES[0].name}, cores left to idle: p50, apart by"
    return not_run(name, "too few requests") if ours is None or theirs is None else published(name, "µs", ours - theirs)


def _row(case: Case, percent: float, run: ClientRun, truth: BackendReport, late_ns: list[int]) -> Row:
    name = f"{case.name}: p{percent:g}, apart by"
    ours = quantile_us(run.report.histograms["response"], percent)
    theirs, floor_ns = quantile_us(truth.delays_ns, percent), added(truth.delays_ns, late_ns, percent)
    if ours is None or theirs is None or floor_ns is None:
        return not_run(name, "fewer than 10 requests lie beyond it: a longer run is needed")
    bound = max(SHARE * theirs, LEAST_US)
    return at_most(name, "µs", abs(ours - theirs), bound, floor_ns / 1e3, f"{ours:,.0f} µs against {theirs:,.0f} µs")


GATE = Gate("known-delay", "Known delay", METHOD, measure)
