"""Gate: how late the client sends at half of what it can do, beside a bare timerfd loop at the same rate."""

from tests.bench.beside import nginx
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.client import ClientRun, run_client
from tests.bench.gates.quantiles import GRID, known, line_of, of_values, quantile_us
from tests.bench.gates.record import Row, at_most, not_run, published
from tests.bench.truth.timer import lateness_ns

CONNECTIONS = 100
WINDOW_S = 10.0
BOUNDS_US = ((99, 100.0), (99.9, 1_000.0))

METHOD = f"""\
The client's capacity is first measured in the same run: over {CONNECTIONS} connections to nginx an open loop is offered 1.3 × what a closed loop reaches; what it completes per second then is its capacity
(were the server to give out first, the row with the client's CPU would show it). Then the client offers half of that, constant, for {WINDOW_S:g} s. Send lag is the send
less the later of the intended time and the moment a connection became free. The floor is the lateness of a bare timerfd loop at the same rate on the same core, half of it run before the client and half
after. Every trial ships its own send lag anyway."""


def measure(bench: Bench) -> Measured:
    """Capacity, floor, client, floor."""
    with nginx(bench.server_core) as (port, _):
        overload = overloaded(bench, port)
        rate_per_s = round(overload.rate_per_s / 2)
        half = bench.seconds(WINDOW_S) / 2
        late = lateness_ns(rate_per_s, half, bench.client_core)
        run = run_client(
            port,
            bench.client_core,
            kind="open",
            rate_per_s=rate_per_s,
            connections=CONNECTIONS,
            window_s=bench.seconds(WINDOW_S),
        )
        late += lateness_ns(rate_per_s, half, bench.client_core)
    counts = run.report.histograms["send_lag"]
    floor = {percent: value / 1e3 for percent in GRID if (value := of_values(late, percent)) is not None}
    rows = [_row(run, late, percent, bound_us) for percent, bound_us in BOUNDS_US]
    rows.append(published("capacity: completed when offered more", "requests/s", overload.rate_per_s))
    rows.append(published("CPU of the client meanwhile", "of a core", overload.busy_share))
    rows.append(published("CPU of the client at half of it", "of a core", run.busy_share))
    lines = [line_of("the client's send lag", known(counts)), line_of("a bare timerfd loop", floor)]
    return Measured(rows, lines, {"requests per second": rate_per_s, "connections": CONNECTIONS})


def overloaded(bench: Bench, port: int) -> ClientRun:
    """A run that is offered more than it can do."""
    seconds = max(bench.seconds(2.0), 1.0)
    closed = run_client(port, bench.client_core, connections=CONNECTIONS, warmup_s=0.2, window_s=seconds)
    return run_client(
        port,
        bench.client_core,
        kind="open",
        rate_per_s=round(1.3 * closed.rate_per_s),
        connections=CONNECTIONS,
        warmup_s=0.5,
        window_s=seconds,
    )


def _row(run: ClientRun, late_ns: list[int], percent: float, bound_us: float) -> Row:
    name = f"send lag at half the capacity, p{percent:g}"
    lag, floor_ns = quantile_us(run.report.histograms["send_lag"], percent), of_values(late_ns, percent)
    if lag is None or floor_ns is None:
        return not_run(name, "fewer than 10 requests lie beyond it: a longer run is needed")
    return at_most(name, "µs", lag, bound_us, floor_ns / 1e3)


GATE = Gate("send-lag", "Send lag", METHOD, measure, needs=("taskset", "nginx"))
