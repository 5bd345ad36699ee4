"""Gate: requests per client CPU-second beside wrk; beside h2load and Locust the ratios are published."""

from collections.abc import Mapping, Sequence
from functools import partial

from tests.bench.beside import Measured as Run
from tests.bench.beside import NotMeasuredError, Ratio, nginx, rounds, run_wrk
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.client import all_right, run_client
from tests.bench.gates.record import Line, Row, at_least, between, not_run, published
from tests.bench.peers import run_h2load, run_locust
from tests.bench.servers import Watched

BOUND = 0.9
SAME_THROUGHPUT = (0.97, 1.03)
CONNECTIONS = (10, 100, 400)
ROUNDS = 10
SECONDS = 2.0
WARMUP_S = 0.1
LOCUST_USERS, LOCUST_SECONDS = 100, 5.0
FULL = 0.9
OURS = "the client"

METHOD = f"""\
nginx with one worker on one core answers 128 bytes from memory (`return 200`); the client, wrk and h2load load it in turn from the other core, one thread each, closed loop. {ROUNDS} rounds at
each number of connections, {SECONDS:g} s a run, the order rotating; ratios are taken within a round, intervals are Student's t on their logarithms. A tool's CPU is its whole process's,
with parsing (the client parses HTTP in full) and folding; only the client's and Locust's start (interpreter, imports, connecting) is left out, which wrk and h2load, C programs, do not have. Where the throughput
ratio's interval is not within [{SAME_THROUGHPUT[0]}, {SAME_THROUGHPUT[1]}], the row says whose core was full meanwhile. Locust's FastHttpUser: {LOCUST_USERS} users without a pause, one process, {LOCUST_SECONDS:g} s, counted from when all of them are there."""


def measure(bench: Bench) -> Measured:
    """Beside wrk and h2load at each number of connections, then beside Locust."""
    rows: list[Row] = []
    found: dict[int, Mapping[str, Sequence[Run]]] = {}
    with nginx(bench.server_core) as (port, pid):
        for connections in CONNECTIONS:
            watched = _Shares(port, pid)
            found[connections] = _beside(bench, port, connections, watched)
            rows += rows_of(connections, found[connections], watched.of)
        rows.append(_locust(bench, port))
    return Measured(rows, [_line(peer, found) for peer in ("wrk", "h2load")], {"rounds": bench.times(ROUNDS)})


class _Shares(Watched):
    """The share of its core that the server used, tool by tool."""

    def __init__(self, port: int, pid: int) -> None:
        super().__init__(pid, port)
        self.of: dict[str, list[float]] = {}

    def during(self, name: str, run: "partial[Run]") -> Run:
        """Do one run, and note what the server used for it."""
        before_s = self.settled_cpu_s()
        done = run()
        self.of.setdefault(name, []).append((self.settled_cpu_s() - before_s) / done.elapsed_s)
        return done


def run_ours(port: int, connections: int, seconds: float, core: int) -> Run:
    """One run of the client, closed loop."""
    run = run_client(port, core, connections=connections, warmup_s=WARMUP_S, window_s=seconds)
    counted = all_right(run, connections).report.life_ok - connections  # one each while connecting
    return Run(counted, run.cpu_s, seconds + WARMUP_S)


def _beside(bench: Bench, port: int, connections: int, watched: _Shares) -> dict[str, list[Run]]:
    seconds, core = max(bench.seconds(SECONDS), 1.0), bench.client_core
    tools = {OURS: run_ours, "wrk": run_wrk, "h2load": run_h2load}
    runs = {name: partial(run, port, connections, seconds, core) for name, run in tools.items()}
    sides = {name: partial(watched.during, name, run) for name, run in runs.items()}
    return rounds(sides, bench.times(ROUNDS))


def rows_of(
    connections: int, found: Mapping[str, Sequence[Run]], server_shares: Mapping[str, Sequence[float]]
) -> list[Row]:
    """The rows of one number of connections."""
    rows = []
    for peer in ("wrk", "h2load"):
        cost, rate = ratios(found[OURS], found[peer])
        name = f"c = {connections}: requests per client CPU-second, over {peer}'s"
        note = f"{_per_cpu_s(found[OURS]):,.0f} against {_per_cpu_s(found[peer]):,.0f}"
        interval = (cost.low, cost.high)
        rows.append(
            at_least(name, "", cost.mean, BOUND, interval, note)
            if peer == "wrk"
            else published(name, "", cost.mean, interval, note)
        )
        name = f"c = {connections}: throughput, over {peer}'s"
        said = who_was_full({name: runs for name, runs in found.items() if name in (OURS, peer)}, server_shares)
        rows.append(
            between(name, "", rate.mean, (rate.low, rate.high), SAME_THROUGHPUT, said)
            if peer == "wrk"
            else published(name, "", rate.mean, (rate.low, rate.high), said)
        )
    return rows


def ratios(ours: Sequence[Run], theirs: Sequence[Run]) -> tuple[Ratio, Ratio]:
    """Of requests per CPU-second, and of requests per second."""
    cost = Ratio.of([run.per_cpu_s for run in ours], [run.per_cpu_s for run in theirs])
    rate = Ratio.of([run.requests / run.elapsed_s for run in ours], [run.requests / run.elapsed_s for run in theirs])
    return cost, rate


def who_was_full(found: Mapping[str, Sequence[Run]], server_shares: Mapping[str, Sequence[float]]) -> str:
    """Whose core was full in each side's runs; nothing where none was: then nothing explains a difference."""
    told, full = [], False
    for name, runs in found.items():
        own = sum(run.cpu_s / run.elapsed_s for run in runs) / len(runs)
        server = sum(server_shares[name]) / len(server_shares[name])
        full = full or max(own, server) >= FULL
        told.append(f"{name}: its core {own:.0%}, the server's {server:.0%}")
    return "busy with " + "; with ".join(told) if full else ""


def _per_cpu_s(runs: Sequence[Run]) -> float:
    return sum(run.per_cpu_s for run in runs) / len(runs)


def _locust(bench: Bench, port: int) -> Row:
    name = f"{LOCUST_USERS} users: requests per client CPU-second, over Locust's FastHttpUser"
    seconds = max(bench.seconds(LOCUST_SECONDS), 2.0)
    try:
        theirs = run_locust(port, LOCUST_USERS, seconds, bench.client_core)
    except NotMeasuredError as error:
        return not_run(name, str(error).splitlines()[0])
    ours = run_ours(port, LOCUST_USERS, seconds, bench.client_core)
    note = f"{ours.per_cpu_s:,.0f} against {theirs.per_cpu_s:,.0f}; one run each"
    return published(name, "", ours.per_cpu_s / theirs.per_cpu_s, note=note)


def _line(peer: str, found: Mapping[int, Mapping[str, Sequence[Run]]]) -> Line:
    costs = [ratios(runs[OURS], runs[peer])[0] for runs in found.values()]
    return Line(
        name=f"over {peer}'s",
        x=tuple(found),
        y=tuple(cost.mean for cost in costs),
        low=tuple(cost.low for cost in costs),
        high=tuple(cost.high for cost in costs),
    )


GATE = Gate("peers", "wrk, h2load, Locust", METHOD, measure, needs=("taskset", "nginx", "wrk", "h2load"))
