"""Several clients' and several servers' reports become one: exactly what one alone would have counted."""

import json
from typing import Any

import pytest

from client.books.merge import merge
from harness.errors import MeasureError
from harness.merging import merged_backends, merged_clients, merged_servers, merged_usages, shifted
from harness.raw import BackendReport, ClientReport, ServerReport
from harness.result import NetworkUse
from tests.run.records import client_report, mark, server_report, usage

PHASE: dict[str, Any] = {
    "from_ns": 1_000_000_000,
    "to_ns": 3_000_000_000,
    "rate_per_s": 100.0,
    "intended": 3,
    "sent": 3,
    "ok": 2,
    "errors": {"reset": 1},
    "completed": 2,
    "histograms": {"response": {9: 2}},
}
PROCESS: dict[str, Any] = {"cpus": (0,), "connections": 5, "cpu_user_s": 0.1, "cpu_system_s": 0.1}


def two() -> tuple[ClientReport, ClientReport]:
    one = client_report(
        errors={"timeout": 2},
        schedule=10,
        connections_lost=1,
        phases=(PHASE,),
        processes=(PROCESS,),
        errors_per_100ms=(0,) * 20,
        mix=({"intended": 1, "ok": 1, "errors": {}, "response": {8: 1}},),
    )
    other = client_report(
        errors={"timeout": 1, "reset": 3},
        schedule=11,
        connections_lost=None,
        histograms={"response": {4_000: 1, 4_001: 2}, "connect": {7: 1}},
        phases=({**PHASE, "histograms": {"response": {9: 1, 10: 1}}},),
        processes=(PROCESS, PROCESS),
        errors_per_100ms=(1,) * 20,
        mix=({"intended": 2, "ok": 1, "errors": {"reset": 1}, "response": {8: 1}},),
    )
    return one, other


def test_clients_are_merged_as_the_processes_of_one_client_are() -> None:
    reports = two()
    by_the_client = merge([json.loads(report.model_dump_json()) for report in reports])
    assert merged_clients(reports) == ClientReport.model_validate_json(json.dumps(by_the_client))


def test_one_client_is_itself() -> None:
    assert merged_clients([client_report()]) == client_report()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"window_end_ns": 3_000_000_001}, "window_end_ns is 3000000000 and 3000000001"),
        ({"per_100ms": (1,) * 19}, "different numbers of per_100ms"),
    ],
)
def test_clients_that_do_not_fit_together_are_never_pooled(change: dict[str, Any], words: str) -> None:
    with pytest.raises(MeasureError, match=words):
        merged_clients([client_report(), client_report(**change)])


def test_a_load_that_grows_is_one_clients() -> None:
    grown = {"begun": 1, "served": 1, "held": 2, "first_failed_at": None, "failure": None}
    with pytest.raises(MeasureError, match="one client's"):
        merged_clients([client_report(), client_report(growth=grown)])


def test_shifting_moves_instants_and_no_length_of_time() -> None:
    report, _ = two()
    moved = shifted(report, -500)
    assert moved.window_start_ns == report.window_start_ns - 500
    assert moved.phases[0].to_ns == report.phases[0].to_ns - 500
    assert moved.histograms == report.histograms
    assert shifted(moved, 500) == report


def test_servers_add_up_mark_by_mark() -> None:
    one, other = server_report(), server_report(requests=4_001)
    whole = merged_servers({"server-1": one, "server-2": other})
    assert whole is not None
    assert whole.requests == 3_001 + 4_001
    assert [taken.requests for taken in whole.marks] == [1_002, 5_002]


def test_what_one_server_does_not_tell_is_not_told_of_the_whole() -> None:
    silent = server_report(marks=(mark(1, 1),), wakeups=None)
    whole = merged_servers({"server-1": server_report(), "server-2": silent})
    assert whole is not None
    assert whole.wakeups is None
    assert whole.marks == ()


def test_one_server_is_itself_and_none_is_none() -> None:
    only: ServerReport = server_report()
    assert merged_servers({"server": only}) is only
    assert merged_servers({}) is None


def test_backends_add_up_bucket_by_bucket() -> None:
    one = BackendReport(requests=3, answers=2, connections=1, cpu_user_s=0.5, cpu_system_s=0.25, delays_ns={5: 2})
    other = BackendReport(
        requests=1, answers=1, connections=1, cpu_user_s=0.5, cpu_system_s=0.25, delays_ns={5: 1, 9: 1}
    )
    assert merged_backends([one, other]) == BackendReport(
        requests=4, answers=3, connections=2, cpu_user_s=1.0, cpu_system_s=0.5, delays_ns={5: 3, 9: 1}
    )
    assert merged_backends([]) is None


def test_what_several_servers_used_is_the_sum_at_one_pace_and_the_worst_of_what_has_none() -> None:
    one = usage(0.5, run_delay_share=0.2, descriptors=10, fullest_descriptors=90, descriptor_limit=100, throttled_s=0.1)
    other = usage(
        0.5, interval_s=1.0, cores=2, descriptors=30, fullest_descriptors=100, descriptor_limit=400, oom_kills=1
    )
    both = merged_usages([one, other], 3, one_network=True)
    assert both is not None
    assert (both.interval_s, both.cores, both.cpu_user_s) == (2.0, 3, 1.5)  # 0.25 and 0.5 CPU for 2 s
    assert (both.processes, both.threads, both.memory_bytes) == (2, 2, 20_000_000)
    assert (both.fullest_descriptors, both.descriptor_limit, both.descriptors) == (90, 100, 30)
    assert both.throttled_s == 0.1
    assert (both.run_delay_share, both.oom_kills) == (None, None)  # one of them is not known


@pytest.mark.parametrize(("one_network", "overflows"), [(True, 3), (False, 5)])
def test_counters_of_a_network_that_servers_share_are_not_added_up(one_network: bool, overflows: int) -> None:
    counters = dict.fromkeys(("listen_drops", "syn_drops", "syn_cookies", "retransmits", "time_wait"), 0)
    fields: dict[str, Any] = {"interval_s": 2.0, **counters, "accept_queue_most": 1, "accept_queue_limit": 128}
    fields |= {"accept_queue": 0.5, "link_share": None}
    quiet = NetworkUse(**fields, listen_overflows=2, accept_queue_waiting=0.1)
    queued = NetworkUse(**fields, listen_overflows=3, accept_queue_waiting=0.9)
    both = merged_usages([usage(network=quiet), usage(network=queued)], 2, one_network=one_network)
    assert both is not None
    assert both.network is not None
    assert (both.network.accept_queue_waiting, both.network.listen_overflows) == (0.9, overflows)


def test_what_one_server_used_stays_as_it_is() -> None:
    assert merged_usages([usage(0.7)], 4, one_network=True) == usage(0.7)
    assert merged_usages([], 1, one_network=True) is None
