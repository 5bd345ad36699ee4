"""Requests per server CPU-second of every model, side by side under the same load, with nginx as the canary.

All servers are up on one core, wrk is on the other. A round loads each of them once, in an order that rotates; ratios
are taken within a round, so that whatever the machine does to one it does to its neighbours. Models with a fixed
number of workers get as many as there are connections. Run it alone: `python -m tests.bench.models`.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from tests.bench.beside import Ratio, missing_tools, nginx, options_of, rounds, run_wrk, say
from tests.bench.servers import Model, Watched, serving

CANARY = "nginx"
REACTOR = Model("reactor")
PROACTOR = Model("proactor")
BOUNDS: Mapping[tuple[str, str], float] = {(REACTOR.label, CANARY): 0.7, (PROACTOR.label, REACTOR.label): 0.7}


def models_for(connections: int) -> list[Model]:
    """Every model and variant, the pools large enough for the connections."""
    return [
        REACTOR,
        Model("reactor", {"variant": "main-sub", "loops": 2, "loops_in": "threads"}),
        Model("reactor", {"variant": "main-sub", "loops": 2, "loops_in": "processes"}),
        Model("reactor", {"variant": "pool"}),
        Model("reactor", {"variant": "uvloop"}),
        PROACTOR,
        Model("prethread", {"variant": "handoff", "threads": connections}),
        Model("prethread", {"variant": "accept", "threads": connections}),
        Model("prefork", {"accept": "blocking", "workers": connections}),
        Model("tpc"),
        Model("ppc"),
    ]


def measure(server: Watched, connections: int, seconds: float, core: int) -> float:
    """Requests per CPU-second of the server, in one run of wrk."""
    before_s = server.settled_cpu_s()
    done = run_wrk(server.port, connections, seconds, core)
    return done.requests / (server.settled_cpu_s() - before_s)


def compare(connections: int, number: int, seconds: float) -> bool:
    """Print the table for one number of connections; whether every bound holds."""
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        servers: dict[str, Watched] = {
            model.label: stack.enter_context(serving(model, cores[0])) for model in models_for(connections)
        }
        port, pid = stack.enter_context(nginx(cores[0]))
        servers[CANARY] = Watched(pid, port)
        sides = {name: partial(measure, server, connections, seconds, cores[-1]) for name, server in servers.items()}
        found = rounds(sides, number)
    say(f"c = {connections}")
    for name, values in found.items():
        beside_nginx, beside_reactor = Ratio.of(values, found[CANARY]), Ratio.of(values, found[REACTOR.label])
        say(f"  {name:<48} {sum(values) / number:>9,.0f}  {beside_nginx}  {beside_reactor}")
    held = [_holds(found, ours, theirs, bound) for (ours, theirs), bound in BOUNDS.items()]
    return all(held)


def _holds(found: Mapping[str, Sequence[float]], ours: str, theirs: str, bound: float) -> bool:
    ratio = Ratio.of(found[ours], found[theirs])
    say(f"  {ours} / {theirs}: {ratio}, bound {bound}: {'holds' if ratio.mean >= bound else 'MISSED'}")
    return ratio.mean >= bound


def main(arguments: Sequence[str] = ()) -> int:
    """Compare at each number of connections; 0 every bound holds, 1 one is missed, 3 a tool is not installed."""
    options = options_of(arguments, __doc__ or "", connections=[64, 1024], pairs=10)
    if missing_tools():
        return 3
    say(f"requests per server CPU-second, {options.pairs} rounds of {options.seconds:g} s, one core each side")
    say(f"  {'':<48} {'mean':>9}  {'/ nginx [95 %]':<21}  / reactor [95 %]")
    held = [compare(connections, options.pairs, options.seconds) for connections in options.connections]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
