"""Every rule on recorded numbers: what it needs, what it says, and who comes first where several hold."""

from typing import Any

import pytest

from harness.histogram import index_of
from harness.judging.culprits import ORDER
from harness.judging.evidence import Evidence
from harness.judging.verdict import judge
from harness.result import CoreLoad, NetworkUse
from harness.spec.experiment import Trial
from tests.run.records import client_report, cores, evidence, server_report, usage

MIB = 1 << 20


def network(**changes: Any) -> NetworkUse:
    """A quiet namespace."""
    fields: dict[str, Any] = dict.fromkeys(
        ("listen_overflows", "listen_drops", "syn_drops", "syn_cookies", "retransmits", "time_wait"), 0
    )
    fields |= {"interval_s": 2.0, "accept_queue": 0.0, "accept_queue_most": 0, "accept_queue_limit": 128}
    fields |= {"accept_queue_waiting": 0.0, "link_share": None}
    return NetworkUse.model_validate({**fields, **changes})


def process(ran_s: float, waited_s: float | None) -> dict[str, Any]:
    return {"cpus": (0,), "connections": 5, "cpu_user_s": ran_s, "cpu_system_s": 0.0, "run_delay_s": waited_s}


def full(server: float = 1.0, stolen: float = 0.0) -> dict[str, CoreLoad]:
    return {**cores(), "server": CoreLoad(cpus=(1,), busy=server, stolen=stolen)}


def errors(**kinds: int) -> dict[str, Any]:
    named = {kind.replace("_", "-"): count for kind, count in kinds.items()}
    return {"errors": named, "ok": 2_000 - sum(kinds.values())}


STARVED = {"connections_served": 8, "connections_starved": 2}
RETRIED = {"histograms": {"connect": {index_of(100_000): 1_900, index_of(1_000_000_000): 100}}}
RESENT = {"histograms": {"response": {index_of(1_000_000): 1_900, index_of(210_000_000): 100}}}
DROPPED = network(listen_overflows=90, listen_drops=95, accept_queue_most=129)
QUEUED = network(accept_queue=6.0, accept_queue_most=9, accept_queue_waiting=1.0)
POOL = {"workers": 4, "concurrency": "workers"}
OPEN = Trial.model_validate({"load": {"kind": "open", "rate": "1000/s", "connections": 10, "window": "2 s"}})
BRIDGE = Trial.model_validate({"load": {"connections": 10, "window": "2 s"}, "network": "bridge"})
HOLD = Trial.model_validate(
    {"load": {"kind": "hold", "rate": "1000/s", "connections": 10, "window": "2 s", "growth": "5/s"}}
)


@pytest.mark.parametrize(
    ("culprit", "says", "changes"),
    [
        ("memory", "killed 2 of the server's processes", {"usage": usage(oom_kills=2, memory_limit_bytes=64 * MIB)}),
        (
            "memory",
            "stood at 97% of its limit of 64 MiB, and ran into it 12 times",
            {"usage": usage(memory_bytes=62 * MIB, memory_limit_bytes=64 * MIB, memory_limit_hits=12)},
        ),
        (
            "open files",
            "had 256 of the 256 files open",
            {"usage": usage(fullest_descriptors=256, descriptor_limit=256), "client": client_report(**STARVED)},
        ),
        ("ports", "50 of 2,000 requests found no free port", {"client": client_report(**errors(no_port=50))}),
        ("client files", "50 of 2,000 requests needed", {"client": client_report(**errors(no_file=50))}),
        (
            "listen queue",
            "90 listen queue overflows and 0 dropped SYNs in 2.0 s (counters of the whole host); 100 of 2,000 connects",
            {"usage": usage(network=DROPPED), "client": client_report(**RETRIED)},
        ),
        (
            "listen queue",
            "7 dropped SYNs",
            {"usage": usage(network=network(syn_drops=7)), "client": client_report(connect_missing=3)},
        ),
        ("worker pool", "and 4 workers, while the server had CPU left", {"usage": usage(network=QUEUED), **POOL}),
        ("worker pool", "6.0 connections waited to be accepted", {"usage": usage(network=QUEUED), "concurrency": None}),
        ("throttling", "for 0.50 s of 2.00 s", {"usage": usage(throttled_s=0.5)}),
        (
            "steal",
            "took 20% of the server's cores (steal)",
            {"cores": full(0.75, 0.2), "usage": usage(1.4, run_delay_share=0.25)},
        ),
        (
            "run queue",
            "for 50% of their time, and 0.45 of its tasks stood ready",
            {"cores": full(), "usage": usage(1.0, run_delay_share=0.45)},
        ),
        ("server cpu", "server CPU 95%", {"usage": usage(1.9), "cores": full()}),
        ("server cpu", "server CPU 85%", {"usage": usage(1.7), "cores": full(0.99)}),  # the rest are interrupts
        ("server cpu", "1 thread for 4 cores, and used 0.95", {"usage": usage(1.9, cores=4)}),
        ("network", "carried 95% of what it can", {"usage": usage(network=network(link_share=0.95))}),
        (
            "network",
            "5.0 for each 100 requests",
            {"usage": usage(network=network(retransmits=100)), "client": client_report(**RESENT)},
        ),
        (
            "network",
            "5.0 for each 100 requests",
            {"usage": usage(network=network(retransmits=100)), "trial": BRIDGE},  # its own counters need no witness
        ),
        ("client cpu", "stood ready to run for 60% more", {"client": client_report(processes=(process(0.7, 1.2),))}),
        (
            "client cpu",
            "95% of a core (the busiest",
            {"client": client_report(processes=(process(0.2, 0), process(1.9, 0)))},
        ),
        ("errors", "300 connect-timeout", {"client": client_report(**errors(connect_timeout=300))}),
    ],
)
def test_each_rule_names_its_culprit_with_the_numbers(culprit: str, says: str, changes: dict[str, Any]) -> None:
    _, verdict, state, _ = judge(evidence(**changes))
    assert (verdict.limited_by, verdict.also) == (culprit, ()), verdict
    assert says in verdict.evidence
    assert (state == "invalid") == (culprit in ("ports", "client files", "client cpu"))


@pytest.mark.parametrize(
    "changes",
    [
        {
            "usage": usage(memory_bytes=30 * MIB, memory_limit_bytes=64 * MIB, memory_limit_hits=12)
        },  # page cache trimmed
        {"usage": usage(fullest_descriptors=256, descriptor_limit=256)},  # and nobody waits
        {"client": client_report(**errors(no_port=2))},
        {"usage": usage(network=DROPPED)},  # somebody else's on this host
        {"client": client_report(**RETRIED)},  # and nothing was dropped here
        {"usage": usage(network=QUEUED), "concurrency": "unbounded"},
        {"usage": usage(network=QUEUED), "workers": 40, "concurrency": "workers"},  # most of them free
        {"usage": usage(throttled_s=0.01)},
        {"usage": usage(0.4, run_delay_share=0.3), "cores": full()},  # others ran, and it needed half of its core
        {"usage": usage(1.7), "cores": full(0.9)},  # its core was idle one time in ten
        {"usage": usage(1.9, cores=4, threads=8)},
        {"usage": usage(network=network(retransmits=10))},
        {"usage": usage(network=network(retransmits=100))},  # somebody else's on this host
        {"client": client_report(**RESENT)},  # and nothing was sent again here
        {"client": client_report(processes=(process(0.7, 0.5),)), "cores": cores(client=1.0)},  # busy by others
    ],
)
def test_what_does_no_harm_accuses_nobody(changes: dict[str, Any]) -> None:
    verdict = judge(evidence(**changes))[1]
    assert (verdict.limited_by, verdict.also) == ("nobody", ()), verdict


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        (
            {"usage": usage(oom_kills=1), "client": client_report(**errors(reset=500))},
            ["memory", "errors"],
        ),
        ({"usage": usage(1.9, network=DROPPED), "client": client_report(**RETRIED)}, ["server cpu", "listen queue"]),
        (
            {"usage": usage(network=DROPPED), "client": client_report(**RETRIED), "cores": cores(client=1.0)},
            ["listen queue", "client cpu"],
        ),
        ({"usage": usage(network=QUEUED), **POOL, "cores": cores(client=1.0)}, ["worker pool", "client cpu"]),
        ({"usage": usage(throttled_s=0.5, network=QUEUED), **POOL}, ["throttling"]),
        ({"usage": usage(1.9), "client": client_report(**STARVED), **POOL}, ["worker pool", "server cpu"]),
        ({"usage": usage(1.9), "client": client_report(**errors(timeout=500))}, ["server cpu", "errors"]),
        ({"client": client_report(**errors(no_port=400))}, ["ports", "errors"]),
    ],
)
def test_one_wall_hides_the_next_and_the_next_is_kept(changes: dict[str, Any], order: list[str]) -> None:
    verdict = judge(evidence(**changes))[1]
    assert [verdict.limited_by, *(suspect.limited_by for suspect in verdict.also)] == order


def test_the_counters_of_a_container_on_a_bridge_are_its_own() -> None:
    trial = Trial.model_validate({"network": "bridge", "load": {"connections": 10, "window": "2 s"}})
    judged = evidence(trial=trial, usage=usage(network=DROPPED), client=client_report(**RETRIED))
    assert "whole host" not in judge(judged)[1].evidence


def test_a_rule_stands_where_its_reason_puts_it() -> None:
    names = [culprit for culprit, _ in ORDER]
    assert names.index("memory") < names.index("errors")
    assert names.index("worker pool") < names.index("client cpu") < names.index("server cpu")
    assert names.index("throttling") < names.index("server cpu")


def held(**changes: Any) -> Evidence:
    return evidence(trial=HOLD, **{"client": client_report(schedule=2_000, **changes)})


def test_idle_connections_that_are_held_are_not_starved() -> None:
    checks = {check.name: check for check in judge(held(connections_served=3))[0]}
    assert checks["served"].passed is True
    assert "10 of 10 held connections" in checks["served"].detail
    checks = {check.name: check for check in judge(held(first_byte_missing=2))[0]}
    assert checks["served"].passed is False


@pytest.mark.parametrize(("workers", "culprit"), [(16, "worker pool"), (64, "nobody"), (None, "nobody")])
def test_a_pool_ends_where_each_worker_holds_a_connection(workers: int | None, culprit: str) -> None:
    growth = {"begun": 10, "served": 6, "held": 16, "first_failed_at": 16, "failure": "timeout"}
    client = client_report(schedule=2_000, first_byte_missing=4, growth=growth)
    judged = judge(evidence(trial=HOLD, client=client, workers=workers, concurrency="workers"))
    assert judged[1].limited_by == culprit
    assert "with 16 open (timeout)" in judged[1].evidence
    steady = next(check for check in judged[0] if check.name == "steady")
    assert "not meant to be steady" in steady.detail


def test_where_new_connections_end_is_said_and_is_no_doubt_about_those_that_are_held() -> None:
    growth = {"begun": 10, "served": 6, "held": 16, "first_failed_at": 16, "failure": "timeout"}
    full = usage(fullest_descriptors=20, descriptor_limit=20)
    judged = evidence(trial=HOLD, usage=full, client=client_report(schedule=2_000, first_byte_missing=4, growth=growth))
    checks, verdict, _, _ = judge(judged)
    assert next(check for check in checks if check.name == "served").passed is True
    assert verdict.limited_by == "open files"
    assert "4 of 10 new connections got no answer, the first with 16 open (timeout)" in verdict.evidence


@pytest.mark.parametrize(("think", "passed"), [("40 ms", True), ("80 ms", False)])
def test_connections_are_throughput_times_response_and_think_time(think: str, passed: bool) -> None:
    """10 connections, 200 answers a second, 10 ms each: they think for 40 ms."""
    load = {"connections": 10, "window": "2 s", "think": think}
    client = client_report(
        intended=400, sent=400, ok=400, completed_in_window=400, residence_s=4.0, in_flight_integral_s=4.0, life_ok=400
    )
    judged = evidence(trial=Trial.model_validate({"load": load}), client=client, server=None)
    check = next(check for check in judge(judged)[0] if check.name == "littles-law")
    assert "who thinks is not in flight" in check.detail
    assert check.passed is passed


def test_a_search_for_capacity_counts_every_trial_on_its_server() -> None:
    judged = evidence(server=server_report(5_001), earlier_ok=2_000)
    assert next(check for check in judge(judged)[0] if check.name == "server-count").passed is True
    assert (
        next(check for check in judge(evidence(server=server_report(5_001)))[0] if check.name == "server-count").passed
        is False
    )


def phases(*counts: int) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "from_ns": 1_000_000_000 + index * 1_000_000_000,
            "to_ns": 2_000_000_000 + index * 1_000_000_000,
            "rate_per_s": 1_000.0,
            "intended": count,
            "sent": count,
            "ok": count,
            "errors": {},
            "completed": count,
            "histograms": {},
        }
        for index, count in enumerate(counts)
    )


@pytest.mark.parametrize(
    ("changes", "passed"),
    [
        ({"phases": phases(1_000, 1_000)}, True),
        ({"phases": phases(1_001, 999)}, True),
        ({"phases": phases(1_100, 900)}, False),
        ({"phases": phases(1_000, 999)}, False),  # one is in no part
        ({"mix": ({"intended": 1_500, "ok": 1_500, "errors": {}, "response": {}},)}, False),
    ],
)
def test_the_schedule_is_kept_in_every_part_and_of_every_kind(changes: dict[str, Any], passed: bool) -> None:
    judged = evidence(trial=OPEN, client=client_report(schedule=2_000, **changes))
    assert next(check for check in judge(judged)[0] if check.name == "schedule").passed is passed


def test_the_send_lag_is_shown_with_its_tail() -> None:
    histograms = {"send_lag": {index_of(200_000): 99_800, index_of(3_000_000): 200}}
    judged = evidence(trial=OPEN, client=client_report(schedule=2_000, histograms=histograms))
    check = next(check for check in judge(judged)[0] if check.name == "send-lag")
    assert check.passed is True
    assert "p99 of the send lag is 200 us, p99.9 2,999 us" in check.detail


@pytest.mark.parametrize(("waited_ns", "told"), [(300_000_000, True), (0, False)])
def test_a_late_client_whose_requests_waited_for_connections_is_told_to_take_more(waited_ns: int, told: bool) -> None:
    late, service = 5_000_000, 1_000_000
    histograms = {
        "send_lag": {index_of(late): 2_000},
        "service": {index_of(service): 2_000},
        "response": {index_of(service + late + waited_ns): 2_000},
    }
    client = client_report(schedule=2_000, intended=2_000, histograms=histograms)
    _, verdict, state, _ = judge(evidence(trial=OPEN, client=client))
    assert (verdict.limited_by, state) == ("client lag", "invalid")
    assert ("requests waited 300 ms for a free connection on average" in verdict.evidence) is told
    assert ("more `load.connections` than" in verdict.evidence) is told


@pytest.mark.parametrize(("searched", "state"), [(False, "invalid"), (True, "marked")])
def test_a_late_client_voids_a_trial_but_no_search_that_it_did_not_decide(searched: bool, state: str) -> None:
    late = {"send_lag": {index_of(5_000_000): 2_000}, "response": {index_of(6_000_000): 2_000}}
    client = client_report(schedule=2_000, intended=2_000, histograms=late)
    _, verdict, found, reason = judge(evidence(trial=OPEN, client=client, searched=searched))
    assert (verdict.limited_by, found) == ("client lag", state)
    assert "p99 of the send lag is" in (reason or "")
