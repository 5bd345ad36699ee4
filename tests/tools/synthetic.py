"""Run folders made up for tests of the analysis and the report: plausible, seeded, of any size.

Response times are log-normal over runs and requests; the shape of a run (who is fast, who fails) is the caller's.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from harness.histogram import index_of
from harness.plan import Plan, PlannedTrial
from harness.raw import ClientReport
from harness.result import CoreLoad, State, TrialResult, Verdict
from harness.spec.experiment import Experiment, Repeats, Trial
from tests.tools.synthetic_cluster import clustered, search_of
from tests.tools.synthetic_server import server_of, usage_of

WINDOW_S = 2.0

Speed = Callable[[Mapping[str, str]], float]
"""Mean throughput of a point, requests/s, by the labels of its factors."""


def quickstart_speed(factors: Mapping[str, str]) -> float:
    """Reactor ahead of tpc ahead of ppc, and per-request dearer for all."""
    base = {"reactor": 9_000.0, "tpc": 7_500.0, "ppc": 6_000.0}.get(factors.get("model", ""), 8_000.0)
    connections = int(factors.get("load.connections", "32"))
    base *= 0.5 if connections == 1 else 1.0
    fork = {"ppc": 0.25, "tpc": 0.6}.get(factors.get("model", ""), 0.8)
    return base * (fork if factors.get("load.lifetime") == "per-request" else 1.0)


@dataclass(frozen=True)
class Shape:
    """What the run is to look like."""

    factors: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {
            "model": ("ppc", "tpc", "reactor"),
            "load.connections": ("1", "32", "256"),
            "load.lifetime": ("keep-alive", "per-request"),
        }
    )
    repeats: int | Repeats = 3
    canary: float | None = None  # its speed over its point's; none: there is no canary
    pace: Callable[[int], float] = lambda block: 1.0  # of the whole host in a block
    seed: int = 1
    speed: Speed = quickstart_speed
    spread: float = 0.02  # standard deviation of the logarithm of a run's throughput
    kind: str = "closed"
    runtime: str = "docker"
    title: str = "Which model holds up as connections grow?"
    states: Mapping[str, str] = field(default_factory=dict)  # trial id: a State, "missing" or "half-written"
    reasons: Mapping[str, str] = field(default_factory=dict)  # trial id: why
    timed_out: float = 0.0  # share of the requests
    metric: str | None = None  # that the question is about
    fault: str = "none"  # set off in every trial
    lost: Mapping[str, int] = field(default_factory=dict)  # model: connections lost to it
    requests: int = 4_000  # at most so many entries in each histogram
    base: Mapping[str, Any] = field(default_factory=dict)  # further keys of the trial
    resolution: float = 0.0  # of searches for capacity: they try rates on a grid as fine; 0: as their spread says
    hosts: int = 0  # the run went over so many, `host-1` …
    crooked: float = 0.0  # server-1 gets as much more than its share


def make_run(folder: Path, shape: Shape | None = None, environment: Mapping[str, Any] | None = None) -> Path:
    """Write a run folder and return it."""
    shape = shape or Shape()
    plan = make_plan(shape)
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text(f"version: 1\ntitle: {json.dumps(shape.title)}\n")
    (folder / "plan.json").write_text(plan.model_dump_json(indent=1))
    (folder / "environment.json").write_text(json.dumps(environment or _environment(shape)))
    for planned in plan.trials:
        _write_trial(folder / "trials" / planned.id, planned, shape)
    return folder


def make_plan(shape: Shape) -> Plan:
    """The plan of such a run, in seeded blocks."""
    points = [dict(zip(shape.factors, levels, strict=True)) for levels in product(*shape.factors.values())]
    trials: list[PlannedTrial] = []
    shuffle = random.Random(shape.seed)
    blocks = shape.repeats if isinstance(shape.repeats, int) else shape.repeats.max
    for repeat in range(1, blocks + 1):
        block = [(factors, False) for factors in shuffle.sample(points, len(points))]
        for factors, canary in block if shape.canary is None else [*block, (points[0], True)]:
            levels = (f"{name.rpartition('.')[2]}-{_slug(level)}" for name, level in factors.items())
            point = "canary" if canary else ".".join(levels) or "base"
            trials.append(
                PlannedTrial(
                    id=f"{point}.r{repeat}",
                    point=point,
                    repeat=repeat,
                    block=repeat,
                    order=len(trials) + 1,
                    factors=factors,
                    canary=canary,
                    trial=_trial(factors, shape),
                )
            )
    return Plan(
        name="synthetic",
        experiment=Experiment(
            version=1,
            title=shape.title,
            metric=shape.metric,
            repeats=shape.repeats,
            canary=shape.canary is not None,
            seed=shape.seed,
        ),
        factors={name: tuple(levels) for name, levels in shape.factors.items()},
        trials=tuple(trials),
    )


def _slug(level: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in level)


def _trial(factors: Mapping[str, str], shape: Shape) -> Trial:
    connections = int(factors.get("load.connections", "32"))
    load: dict[str, Any] = {"connections": connections, "warmup": "1 s", "window": f"{WINDOW_S:.0f} s"}
    load |= {"kind": shape.kind, "rate": "1000/s" if shape.kind == "open" else None}
    load |= {"lifetime": factors.get("load.lifetime", "keep-alive")}
    fault = factors.get("handler.fault", shape.fault)
    cluster: dict[str, Any] = {name: factors[name] for name in ("balancer",) if name in factors}
    cluster |= {"servers": int(factors["servers"])} if "servers" in factors else {}
    slo = {"slo": {"p99": "100 ms", "errors": "0.1 %"}} if shape.kind == "capacity" else {}
    handler = {"cpu": "50 us", "fault": fault}
    return Trial.model_validate({"load": load, "handler": handler, **slo, **shape.base, **cluster})


def _environment(shape: Shape) -> dict[str, Any]:
    return {
        "run": {"id": "20260101-120000", "started": "2026-01-01T12:00:00+00:00", "runtime": shape.runtime, "seed": 1},
        "host": {"kernel": "6.18.0", "cpu": "Synthetic 9000", "cores": 2, "memory_bytes": 25_769_803_776},
        "packages": {"pandas": "3.1.1", "uvloop": "0.23.0"},
        "git": {"commit": "0123456789abcdef", "dirty": False},
    }


def _write_trial(folder: Path, planned: PlannedTrial, shape: Shape) -> None:
    state = shape.states.get(planned.id, "ok")
    if state == "missing":
        return
    folder.mkdir(parents=True)
    text = make_result(planned, shape).model_dump_json(indent=1)
    (folder / "trial.json").write_text(text[: len(text) // 2] if state == "half-written" else text)


def make_result(planned: PlannedTrial, shape: Shape) -> TrialResult:
    """One trial's record."""
    chance = random.Random(f"{shape.seed} {planned.id}")
    wanted = shape.states.get(planned.id, "ok")
    state: State = "ok" if wanted == "half-written" else wanted  # type: ignore[assignment]
    rate = shape.speed(planned.factors) * shape.pace(planned.block) * chance.lognormvariate(0, shape.spread)
    rate *= (shape.canary or 1.0) if planned.canary else 1.0
    failed = state in ("failed", "void")
    searched = search_of(planned.trial, rate, shape.resolution) if shape.kind == "capacity" else None
    rate = searched.low_rps or rate if searched is not None else rate
    client = None if failed else _client(planned, shape, rate, chance)
    made = TrialResult(
        **planned.model_dump(include={"id", "point", "repeat", "block", "order", "factors"}),
        trial=planned.trial,
        runtime="process" if shape.runtime == "process" else "docker",
        state=state,
        reason=shape.reasons.get(planned.id) or (None if state == "ok" else _REASONS[state]),
        started=f"2026-01-01T12:{planned.order // 60 % 60:02d}:{planned.order % 60:02d}+00:00",
        elapsed_s=3.0 + (overhead := 1.2 + chance.random() * 0.4),
        overhead_s=overhead,
        capacity=None if failed else searched,
        client=client,
        servers={} if client is None else {"server": server_of(planned, client)},
        usage={} if client is None else {"server": usage_of(planned, client, chance)},
        cores={}
        if client is None
        else {
            "server": CoreLoad(cpus=(1,), busy=0.99, stolen=0.0),
            "client": CoreLoad(cpus=(0,), busy=0.7, stolen=0.0),
        },
        checks=(),
        verdict=None
        if failed
        else Verdict(limited_by="server cpu", evidence="server CPU 99% of its cores, client CPU 60% of its core"),
    )
    spread_out = planned.trial.servers > 1 or planned.trial.balancer != "none" or shape.hosts
    return clustered(made, shape.hosts, shape.crooked) if spread_out else made


_REASONS = {
    "marked": "60 of 100 connections were served, 40 starved: they got no answer in the window",
    "invalid": "the client gave out, not the server: server CPU 40% of its cores, client CPU 99% of its core",
    "failed": "the server did not come up within 10 s: port 18080 answers nothing",
    "void": "the host rebooted under it",
}


def _client(planned: PlannedTrial, shape: Shape, rate: float, chance: random.Random) -> ClientReport:
    done, connections = int(rate * WINDOW_S), planned.trial.load.connections
    mean_s = (connections / rate) if shape.kind == "closed" else 1 / rate
    timeouts = int(done * shape.timed_out)
    histogram = _histogram(mean_s, min(done, shape.requests), chance)
    per_request = planned.trial.load.lifetime == "per-request"
    return ClientReport(
        start_ns=10**9,
        window_start_ns=2 * 10**9,
        window_end_ns=2 * 10**9 + int(WINDOW_S * 1e9),
        intended=done + timeouts,
        sent=done + timeouts,
        ok=done,
        errors={"timeout": timeouts} if timeouts else {},
        schedule=done + timeouts if shape.kind == "open" else None,
        completed_in_window=done,
        in_flight_integral_s=done * mean_s * chance.uniform(0.995, 1.005),
        in_flight_starved_integral_s=0.0,
        residence_s=done * mean_s,
        connections_opened=done if per_request else connections,
        connections_lost=None if per_request else shape.lost.get(planned.factors.get("model", ""), 0),
        connections_served=connections,
        connections_starved=0,
        connect_missing=0,
        first_byte_missing=0,
        life_ok=done * 2,
        life_unknown=timeouts,
        bytes_received=done * 300,
        per_100ms=(done // 20,) * 20,
        cpu_user_s=0.6 * WINDOW_S,
        cpu_system_s=0.1 * WINDOW_S,
        histograms={"response": histogram, "service": histogram, "first_byte": histogram if per_request else {}},
    )


def _histogram(mean_s: float, count: int, chance: random.Random) -> dict[int, int]:
    return dict(
        sorted(Counter(index_of(int(mean_s * 1e9 * chance.lognormvariate(0, 0.3))) for _ in range(count)).items())
    )
