"""Gate: what is seen of a server that stands still for a known time, and what other tools see of it."""

import threading
import time
from collections.abc import Callable

from harness.histogram import Counts
from tests.bench import peers
from tests.bench.beside import NotMeasuredError
from tests.bench.gates.bench import Bench, Gate, Measured
from tests.bench.gates.client import ClientRun, run_client
from tests.bench.gates.quantiles import GRID, known, line_of, quantile_us
from tests.bench.gates.record import Row, between, not_run, published
from tests.bench.servers import Model, Running, serving
from tests.bench.truth.freeze import freeze

STALL_S, WINDOW_S = 1.4, 20.0
RATE_PER_S = 1_000
CONNECTIONS = 10
SHARE = 0.05
MOST_BUSY = 0.1

METHOD = f"""\
The reactor is stopped by SIGSTOP for S = {STALL_S} s in the middle of a window of T = {WINDOW_S:g} s, and let go on: it neither reads nor answers, while the kernel goes on
accepting for it. Requests that are intended u seconds after the stall's beginning take S − u, and what has gathered is served in ρ of that time again, where ρ is the
offered rate ({RATE_PER_S:,}/s) over the rate that a closed loop reaches on the same server just before. One request in a hundred is worse than S − 0.01·T·(1 − ρ). S is the time
for which the process was really stopped. wrk, h2load and the client's own closed loop meet the same stall with the same {CONNECTIONS} connections: each of their connections has one bad answer among
some hundred thousand."""


def ideal_s(percent: float, stall_s: float, window_s: float, busy: float) -> float:
    """Response time at a percentile, where the server's own time is nothing beside the stall; seconds."""
    return max(stall_s - (1 - percent / 100) * window_s * (1 - busy), 0.0)


def measure(bench: Bench) -> Measured:
    """The open loop first, then those that wait for answers."""
    stall_s, window_s = bench.seconds(STALL_S), bench.seconds(WINDOW_S)
    with serving(Model("reactor"), bench.server_core) as server:
        capacity = run_client(server.port, bench.client_core, connections=CONNECTIONS, warmup_s=0.2, window_s=1.0)
        busy = RATE_PER_S / capacity.rate_per_s
        opened, stopped_s = _stalled_client(bench, server, window_s, stall_s, kind="open", rate_per_s=RATE_PER_S)
        closed, _ = _stalled_client(bench, server, window_s, stall_s)
        others = _others(bench, server, window_s, stall_s)
    rows = [_gate(opened, stopped_s, window_s, busy), published("ρ", "", busy)]
    rows.append(published("the client's closed loop: p99", "ms", _p99_ms(closed.report.histograms["response"])))
    rows += [_other(name, other) for name, other in others.items()]
    truth = {percent: ideal_s(percent, stopped_s, window_s, busy) * 1e6 for percent in GRID}
    lines = [line_of("truth", truth)]
    lines.append(line_of("open loop", known(opened.report.histograms["response"])))
    lines.append(line_of("closed loop", known(closed.report.histograms["response"])))
    lines += [line_of(name, dict(other)) for name, other in others.items() if isinstance(other, dict)]
    facts = {"S in s": stopped_s, "T in s": window_s, "requests per second": RATE_PER_S, "connections": CONNECTIONS}
    return Measured(rows, lines, facts)


def _gate(run: ClientRun, stopped_s: float, window_s: float, busy: float) -> Row:
    name, truth_s = "the open loop: p99 over S − 0.01·T·(1 − ρ)", ideal_s(99, stopped_s, window_s, busy)
    p99_us = quantile_us(run.report.histograms["response"], 99)
    if busy > MOST_BUSY:
        return not_run(name, f"ρ is {busy:.2f}; the formula is asked for up to {MOST_BUSY}")
    if p99_us is None or run.report.errors:
        raise NotMeasuredError(f"the stalled run is not whole: errors {run.report.errors}")
    ratio = p99_us / 1e6 / truth_s
    row = between(name, "", ratio, (ratio, ratio), (1 - SHARE, 1 + SHARE))
    return row.model_copy(
        update={"low": None, "high": None, "note": f"{p99_us / 1e3:,.0f} ms against {truth_s * 1e3:,.0f} ms"}
    )


def _other(name: str, seen: dict[float, float] | str) -> Row:
    title = f"{name}: p99"
    return not_run(title, seen) if isinstance(seen, str) else published(title, "ms", seen[99] / 1e3)


def _p99_ms(counts: Counts) -> float | None:
    value_us = quantile_us(counts, 99)
    return None if value_us is None else value_us / 1e3


def _stalled_client(
    bench: Bench, server: Running, window_s: float, stall_s: float, **config: object
) -> tuple[ClientRun, float]:
    stopped: list[float] = []

    def started(window_start_ns: int) -> None:
        stopped.append(freeze(server.pid, window_start_ns + round((window_s - stall_s) / 2 * 1e9), stall_s))

    run = run_client(
        server.port,
        bench.client_core,
        started=started,
        connections=CONNECTIONS,
        warmup_s=0.5,
        window_s=window_s,
        **config,
    )
    return run, stopped[0]


def _others(bench: Bench, server: Running, window_s: float, stall_s: float) -> dict[str, dict[float, float] | str]:
    """Percentage: microseconds of each other tool, or why there is none."""
    tools: dict[str, Callable[[], dict[float, float]]] = {
        "wrk": lambda: peers.wrk_percentiles(server.port, CONNECTIONS, window_s, bench.client_core),
        "h2load": lambda: peers.h2load_percentiles(server.port, CONNECTIONS, window_s, bench.client_core),
    }
    found: dict[str, dict[float, float] | str] = {}
    for name, run in tools.items():
        at_ns = time.monotonic_ns() + round((window_s - stall_s) / 2 * 1e9)
        stall = threading.Thread(target=freeze, args=(server.pid, at_ns, stall_s))
        stall.start()
        try:
            found[name] = run()
        except (NotMeasuredError, OSError) as error:
            found[name] = str(error)
        finally:
            stall.join()
    return found


GATE = Gate("stall", "Stall", METHOD, measure, needs=("taskset", "wrk", "h2load"))
