"""Several clients' and several servers' reports become one: exactly what one alone would have counted."""

import json
from typing import Any

import pytest

from client.books.merge import merge
from harness.errors import MeasureError
from harness.merging import merged_backends, merged_clients, merged_servers, shifted
from harness.raw import BackendReport, ClientReport, ServerReport
from tests.run.records import client_report, mark, server_report

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
