"""Several servers, a balancer and hosts, made up for tests: a trial of one server spread over as many as it asks for."""

import math

from harness.raw import BalancedServer, BalancerMark, BalancerReport, ServerReport
from harness.result import Capacity, CoreLoad, HostUse, SearchStep, ServiceUsage, TrialResult
from harness.spec.experiment import Trial

LIFE_S = 20.0


def search_of(trial: Trial, capacity_rps: float, resolution: float) -> Capacity:
    """What a search on a server of a known capacity finds: the rates of a grid around it, or rates right beside it."""
    ratio = 1 + (resolution or 0.001)
    start_rps = trial.load.rate.per_s if trial.load.rate else 100.0
    low = start_rps * ratio ** math.floor(math.log(capacity_rps / start_rps) / math.log(ratio))
    rates = (low / 2, low * 2, low, low * ratio, low * ratio, low, low, low)
    steps = tuple(_step(trial, rate, rate <= low, at >= len(rates) - 3) for at, rate in enumerate(rates))
    return Capacity(low_rps=low, high_rps=low * ratio, ended="found", steps=steps, life_ok=1_000, life_unknown=0)


def _step(trial: Trial, rate_rps: float, met: bool, confirms: bool) -> SearchStep:
    slow_us = 30_000.0 if met else 900_000.0
    return SearchStep(
        rate_rps=rate_rps,
        window_s=2.0,
        purpose="confirm" if confirms else "bisect",
        met=met,
        why=f"p99 {slow_us / 1e3:.0f} ms, at most 100 ms",
        throughput_rps=rate_rps,
        errors=0.0,
        percentiles_us=dict.fromkeys(trial.slo.latencies, slow_us),
        limited_by="nobody" if met else "worker pool",
    )


def clustered(made: TrialResult, hosts: int, crooked: float) -> TrialResult:
    """The same trial by several servers, each with its part of the work; `server-1` with more, where it is crooked."""
    count = made.trial.servers
    names = [f"server-{at}" for at in range(1, count + 1)] if count > 1 else ["server"]
    weights = [1 + crooked, *([1.0] * (count - 1))]
    shares = dict(zip(names, (weight / sum(weights) for weight in weights), strict=True))
    update: dict[str, object] = {"hosts": _hosts(made, names, hosts) if hosts else {}}
    if made.client is not None:
        update["servers"] = {name: _part(made.servers["server"], share) for name, share in shares.items()}
        usage = {name: _usage(made.usage["server"], share * count) for name, share in shares.items()}
        balanced = made.trial.balancer.startswith("haproxy")
        update["usage"] = usage | ({"balancer": _usage(made.usage["server"], 0.4)} if balanced else {})
        update["balancer"] = _balancer(made, shares) if balanced else None
    return made.model_copy(update=update)


def _part(report: ServerReport, share: float) -> ServerReport:
    marks = tuple(
        mark.model_copy(
            update={"requests": int((mark.requests or 0) * share), "connections": int((mark.connections or 0) * share)}
        )
        for mark in report.marks
    )
    return report.model_copy(
        update={"requests": marks[-1].requests, "connections": marks[-1].connections, "marks": marks}
    )


def _usage(usage: ServiceUsage, share: float) -> ServiceUsage:
    return usage.model_copy(update={"cpu_user_s": usage.cpu_user_s * share / 2, "cpu_system_s": 0.1})


def _hosts(made: TrialResult, servers: list[str], hosts: int) -> dict[str, HostUse]:
    on: dict[str, list[str]] = {f"host-{at}": [] for at in range(1, hosts + 1)}
    for at, server in enumerate(servers):
        on[f"host-{at % hosts + 1}"].append(server)
    if made.trial.balancer.startswith("haproxy"):
        on["host-1"].append("balancer")
    on[f"host-{hosts}"].append("client")
    return {
        name: HostUse(
            boot_id=f"0000000{at}-1111-2222-3333-444444444444",
            services=tuple(services),
            clock_offset_ns=at * 1_500_000,
            clock_error_ns=90_000 + at,
            clock_moved_ns=-1_200,
            cores={"server": CoreLoad(cpus=(at,), busy=0.5, stolen=0.0)},
        )
        for at, (name, services) in enumerate(on.items(), start=1)
    }


def _balancer(made: TrialResult, shares: dict[str, float]) -> BalancerReport:
    done = made.client.completed_in_window if made.client else 0
    by_request = made.trial.balancer == "haproxy-http"

    def mark(at_ns: int, count: int) -> BalancerMark:
        return BalancerMark(
            at_ns=at_ns,
            connections=count,
            requests=count if by_request else None,
            connections_now=8,
            queued_now=0,
            servers=tuple(_balanced(name, int(count * share), by_request) for name, share in shares.items()),
        )

    start, end = (made.client.window_start_ns, made.client.window_end_ns) if made.client else (0, 1)
    marks = (mark(start, 1_000), mark(end, 1_000 + done))
    last = mark(end + 10**9, 1_200 + done)
    return BalancerReport(
        **last.model_dump(),
        version="3.0.11",
        started_ns=10**8,
        checks_most=int(LIFE_S / 0.5),
        connections_limit=20_000,
        marks=marks,
    )


def _balanced(name: str, count: int, by_request: bool) -> BalancedServer:
    return BalancedServer(
        name=name,
        state="UP",
        connections=count,
        requests=count if by_request else None,
        connections_most=9,
        queue_most=3,
        connect_errors=0,
        response_errors=0,
        retries=0,
        redispatches=0,
        checks_failed=0,
        times_down=1 if name == "server-2" else 0,
        down_s=1.5 if name == "server-2" else 0.0,
        bytes_in=count * 100,
        bytes_out=count * 300,
    )
