"""Several servers, a balancer in front of them, several load clients: what is judged of them together, and of each."""

from typing import Any

import pytest

from harness.histogram import index_of
from harness.judging.culprits import ORDER
from harness.judging.evidence import Sharing
from harness.judging.verdict import judge
from harness.raw import BalancerReport, ClientReport
from harness.result import Check, CoreLoad
from harness.spec.experiment import Trial
from tests.run.records import client_report, cores, evidence, mark, server_report, usage

BESIDE = Sharing(client_and_balancer=True)
LOAD = {"connections": 10, "window": "2 s"}


def trial(**changes: Any) -> Trial:
    return Trial.model_validate({"load": LOAD, "servers": 2, "balancer": "haproxy-tcp", **changes})


def balancer(
    queued: tuple[int, int] = (0, 0), held: int = 10, most: int | None = None, **changes: Any
) -> BalancerReport:
    counters: dict[str, Any] = {"connections": 10, "connections_now": held, "connections_most": most, "queued_now": 0}
    counters["servers"] = ()
    marks = [{**counters, "at_ns": at, "queued_now": waiting} for at, waiting in enumerate(queued, start=1)]
    fields = {**counters, "at_ns": 3, "version": "3", "started_ns": 0, "checks_most": 20, "connections_limit": 74}
    return BalancerReport.model_validate({**fields, "marks": tuple(marks), **changes})


def check(name: str, **changes: Any) -> Check:
    return next(found for found in judge(evidence(**changes))[0] if found.name == name)


def own_core(busy: float) -> dict[str, CoreLoad]:
    return {**cores(), "balancer": CoreLoad(cpus=(2,), busy=busy, stolen=0.0)}


@pytest.mark.parametrize(
    ("culprit", "says", "changes"),
    [
        ("balancer", "balancer CPU 95% of its cores", {"balancer_usage": usage(1.9), "cores": own_core(0.95)}),
        # On the client's core: together they used it up, and the balancer had more of it.
        ("balancer", "the balancer had no core of its own", {"balancer_usage": usage(1.5), "sharing": BESIDE}),
        ("balancer", "held 74 connections at its most, of the 74 that it may", {"balancer": balancer(held=74)}),
        ("balancer", "held 74 connections at its most, of the 74 that it may", {"balancer": balancer(most=74)}),
        (
            "balancer",
            "3 and 5 requests waited in the balancer",
            {"balancer": balancer(queued=(3, 5)), "trial": trial(balancing={"per_server": 2})},
        ),
        (
            "server cpu",
            "server-2 used 95% of its own cores",
            {"each": {"server-1": usage(0.2), "server-2": usage(1.9)}},
        ),
        ("memory", "2 of server-2's processes", {"each": {"server-1": usage(), "server-2": usage(oom_kills=2)}}),
    ],
)
def test_a_wall_of_one_of_several_is_named_with_whose_it_is(culprit: str, says: str, changes: dict[str, Any]) -> None:
    _, verdict, state, _ = judge(evidence(**{"trial": trial(), **changes}))
    assert (verdict.limited_by, verdict.also) == (culprit, ()), verdict
    assert says in verdict.evidence
    assert state == "ok"


@pytest.mark.parametrize(
    "changes",
    [
        {"balancer_usage": usage(1.7), "cores": own_core(0.85)},
        {"balancer_usage": usage(1.3)},  # the core that it and the client share has some left
        {"balancer": balancer(held=73)},
        {"balancer": balancer(queued=(0, 9)), "trial": trial(balancing={"per_server": 2})},  # by chance, at one edge
        {"balancer": balancer(queued=(3, 5))},  # without a limit nothing waits for long
        {"each": {"server-1": usage(1.7), "server-2": usage(1.7)}},
    ],
)
def test_what_is_only_near_a_wall_accuses_nobody(changes: dict[str, Any]) -> None:
    assert judge(evidence(**{"trial": trial(), **changes}))[1].limited_by == "nobody"


def test_a_balancer_is_no_wall_where_the_servers_have_nothing_left() -> None:
    full = {"balancer_usage": usage(1.9), "cores": own_core(1.0), "balancer": balancer(held=74)}
    verdict = judge(evidence(trial=trial(), usage=usage(1.9), **full))[1]
    assert (verdict.limited_by, verdict.also) == ("server cpu", ())


def test_what_waits_in_front_of_idle_servers_is_judged_before_the_client() -> None:
    names = [culprit for culprit, _ in ORDER]
    assert names.index("worker pool") < names.index("balancer") < names.index("client cpu")


@pytest.mark.parametrize(
    ("kind", "checks", "counted", "passed"),
    [
        ("haproxy-http", "auto", 3_001, True),
        ("haproxy-http", "auto", 3_041, True),  # 20 checks of each of 2 servers
        ("haproxy-http", "auto", 3_042, False),
        ("haproxy-http", "auto", 3_000, False),
        ("haproxy-tcp", "auto", 3_002, False),  # a connect is no request
        ("haproxy-tcp", "http", 3_041, True),
        ("haproxy-http", "off", 3_002, False),
    ],
)
def test_health_checks_by_request_may_be_in_the_servers_count(
    kind: str, checks: str, counted: int, passed: bool
) -> None:
    asked = trial(balancer=kind, balancing={"check": checks})
    found = check("server-count", trial=asked, server=server_report(counted), balancer=balancer())
    assert found.passed is passed, found.detail
    assert "the 2 servers counted" in found.detail


def test_health_checks_are_no_throughput_of_the_client() -> None:
    """20 checks in the window more than the client's 2,000 would break Little's law by 4 %."""
    marks = (mark(1_000_000_000, 501), mark(3_000_000_000, 2_581))
    changes = {"server": server_report(3_041, marks=marks), "balancer": balancer()}
    assert check("littles-law", trial=trial(balancer="haproxy-http"), **changes).passed is True
    assert check("littles-law", trial=trial(), **changes).passed is False


def test_counts_of_a_part_of_the_servers_are_not_held_against_the_clients() -> None:
    found = check("server-count", trial=trial(), server=None)
    assert (found.passed, found.detail) == (None, "not every server's counts are known")


def test_what_a_fault_at_its_time_may_break_is_no_doubt() -> None:
    asked = trial(faults=({"at": "1 s", "do": "kill-server", "server": 1},))
    found = check("server-count", trial=asked, server=server_report(10))
    assert found.passed is None
    assert "a fault was asked for" in found.detail


def client(response_ns: dict[int, int], in_flight: float = 5.0, **changes: Any) -> ClientReport:
    counts = {index_of(value): count for value, count in response_ns.items()}
    total = sum(counts.values())
    fields = {"histograms": {"response": counts}, "intended": total, "ok": total, "sent": total}
    return client_report(**{**fields, "in_flight_integral_s": 2 * in_flight, **changes})


FAST = {1_000_000: 19_700, 3_000_000: 300}
SLOWER = {1_080_000: 19_700, 3_200_000: 300}  # within 10 % and the client's own 0.1 and 1 ms
MEDIAN = {1_300_000: 19_700, 3_000_000: 300}
TAIL = {1_000_000: 19_000, 9_000_000: 1_000}
FEW = {1_000_000: 190, 9_000_000: 10}


@pytest.mark.parametrize(
    ("shares", "passed", "says"),
    [
        ([client(FAST)], None, "there was one load client"),
        ([client(FAST), client(FAST)], True, "2 load clients saw the same"),
        ([client(FAST), client(FAST), client(SLOWER)], True, "3 load clients"),
        ([client(FAST), client(FAST), client(MEDIAN)], False, "client 3: p50 of the response time is 1,3"),
        ([client(FAST), client(FAST), client(TAIL)], False, "client 3: p99 of the response time is"),
        # With 5 in flight at once, 200 requests are as 40 that know nothing of one another: 5 % of them tell nothing of a p99.
        ([client(FAST), client(FEW)], True, "2 load clients"),
        # So are 20,000 where half of them are in flight at once.
        ([client(FAST, 10_000.0), client(TAIL, 10_000.0)], True, "2 load clients"),
        ([client(FAST), client(FAST, errors={"reset": 600})], False, "client 2: 3.0% of its requests failed"),
        ([client(FAST), client(FAST, errors={"reset": 100})], True, "2 load clients"),
        ([client(FAST), client(FAST, errors={"reset": 600}), client(FAST, errors={"reset": 600})], False, "client 1"),
        ([client(FAST), client({}, intended=0, ok=0, sent=0)], True, "2 load clients"),
        # All of them timed out: no response time, but a share of failures.
        ([client(FAST), client({}, intended=900, ok=0, errors={"timeout": 900})], False, "100.0% of its requests"),
    ],
)
def test_clients_agree_within_chance_and_their_own_share_of_the_time(
    shares: list[ClientReport], passed: bool | None, says: str
) -> None:
    found = check("clients-agree", shares=shares)
    assert found.passed is passed, found.detail
    assert says in found.detail
