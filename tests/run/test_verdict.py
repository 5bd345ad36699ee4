"""Judging a trial: which check fails, who gave out, and the state that follows."""

from typing import Any

import pytest

from harness.histogram import index_of
from harness.spec.experiment import Trial
from harness.verdict import Evidence, judge
from tests.run.records import client_report, evidence, server_report, usage


def failed_checks(judged: Evidence) -> list[str]:
    return [check.name for check in judge(judged)[0] if check.passed is False]


def test_a_sound_trial_is_ok_and_nobody_gave_out() -> None:
    checks, verdict, state, reason = judge(evidence())
    assert (state, reason, verdict.limited_by) == ("ok", None, "nobody")
    assert all(check.passed is not False for check in checks)


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        (
            {"client": client_report(connections_served=10, connections_starved=2, in_flight_integral_s=24.0)},
            "served",
        ),
        ({"client": client_report(ok=1_999, errors={"reset": 1}, life_ok=2_999, life_unknown=1)}, "errors"),
        ({"client": client_report(in_flight_integral_s=21.0)}, "littles-law"),
        ({"client": client_report(in_flight_integral_s=19.0)}, "littles-law"),
        ({"server": server_report(end_requests=3_000)}, "server-count"),  # one answer too few
        ({"server": server_report(end_requests=3_002)}, "server-count"),  # one too many
        ({"client": client_report(schedule=2_010)}, "schedule"),
        ({"usage": {"server": usage(others_s=0.3)}}, "quiet"),
    ],
)
def test_each_doubt_marks_the_trial_and_says_which(changes: dict[str, Any], check: str) -> None:
    judged = evidence(**changes)
    assert failed_checks(judged) == [check]
    _, _, state, reason = judge(judged)
    assert state == "marked"
    assert reason


def test_requests_of_unknown_fate_may_or_may_not_have_been_counted() -> None:
    for counted in (3_001, 3_004, 3_006):
        client = client_report(life_unknown=5)
        assert failed_checks(evidence(client=client, server=server_report(end_requests=counted))) == []
    client = client_report(life_unknown=5)
    assert failed_checks(evidence(client=client, server=server_report(end_requests=3_007))) == ["server-count"]


def test_without_counts_the_server_is_not_checkable_rather_than_failed() -> None:
    checks, _, state, _ = judge(evidence(server=None))
    assert next(check for check in checks if check.name == "server-count").passed is None
    assert state == "ok"


@pytest.mark.parametrize(
    ("changes", "culprit", "state"),
    [
        ({"usage": {"server": usage(1.9)}}, "server cpu", "ok"),
        ({"client": client_report(cpu_user_s=1.9)}, "client cpu", "invalid"),
        ({"client": client_report(cpu_user_s=1.9), "usage": {"server": usage(1.9)}}, "server cpu", "ok"),
        ({"usage": {"server": usage(1.0, throttled_s=0.5)}}, "throttling", "ok"),
        ({"client": client_report(connections_served=8, connections_starved=2)}, "worker pool", "marked"),
        (
            {"client": client_report(ok=1_900, errors={"timeout": 100}, life_ok=2_900, life_unknown=101)},
            "errors",
            "marked",
        ),
    ],
)
def test_the_verdict_names_who_gave_out(changes: dict[str, Any], culprit: str, state: str) -> None:
    _, verdict, judged_state, _ = judge(evidence(**changes))
    assert (verdict.limited_by, judged_state) == (culprit, state)
    assert verdict.evidence


def test_a_saturated_server_without_a_pool_is_not_called_a_full_pool() -> None:
    starved = client_report(connections_served=8, connections_starved=2)
    saturated = {"server": usage(1.95)}
    assert judge(evidence(client=starved, usage=saturated))[1].limited_by == "server cpu"
    assert judge(evidence(client=starved, usage=saturated, concurrency="workers"))[1].limited_by == "worker pool"


@pytest.mark.parametrize(("lag_us", "state"), [(400, "ok"), (2_500, "invalid")])
def test_an_open_loop_whose_client_sends_late_says_nothing_about_the_server(lag_us: int, state: str) -> None:
    trial = Trial.model_validate({"load": {"kind": "open", "rate": "1000/s", "connections": 10, "window": "2 s"}})
    histograms = {"response": {4_000: 2_000}, "send_lag": {index_of(lag_us * 1_000): 2_000}}
    judged = evidence(trial=trial, client=client_report(schedule=2_000, histograms=histograms))
    _, verdict, judged_state, _ = judge(judged)
    assert judged_state == state
    assert (verdict.limited_by == "client lag") == (state == "invalid")
