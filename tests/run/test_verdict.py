"""Judging a trial: which check fails, who gave out, and the state that follows."""

from typing import Any

import pytest

from harness.histogram import index_of
from harness.judging.evidence import Evidence, Sharing
from harness.judging.verdict import judge
from harness.raw import FaultReport
from harness.result import CoreLoad
from harness.spec.experiment import Trial
from tests.run.records import backend_report, client_report, cores, evidence, mark, server_report, usage

STARVED = client_report(connections_served=8, connections_starved=2)
SATURATED = {"usage": usage(1.95), "cores": cores(server=0.98)}


def failed_checks(judged: Evidence) -> list[str]:
    return [check.name for check in judge(judged)[0] if check.passed is False]


def errors(**kinds: int) -> dict[str, Any]:
    failed = sum(kinds.values())
    return {"errors": kinds, "ok": 2_000 - failed, "life_ok": 3_000 - failed, "life_unknown": failed}


def test_a_sound_trial_is_ok_and_nobody_gave_out() -> None:
    checks, verdict, state, reason = judge(evidence())
    assert (state, reason, verdict.limited_by) == ("ok", None, "nobody")
    assert all(check.passed is not False for check in checks)


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"client": STARVED}, "served"),
        ({"client": client_report(connections_served=7)}, "served"),  # of 10: 3 were asked for nothing
        ({"client": client_report(**errors(reset=1))}, "errors"),
        ({"client": client_report(connections_unclosed=1)}, "closes"),
        ({"client": client_report(in_flight_integral_s=21.0)}, "littles-law"),
        ({"client": client_report(in_flight_integral_s=19.0)}, "littles-law"),
        ({"server": server_report(3_000)}, "server-count"),  # one answer too few
        ({"server": server_report(3_002)}, "server-count"),  # one too many
        ({"client": client_report(schedule=2_010)}, "schedule"),
        ({"cores": cores(server=0.4)}, "quiet"),
        ({"sharing": Sharing(client_and_server=True)}, "apart"),
        ({"client": client_report(per_100ms=(200,) * 7 + (0,) * 6 + (86,) * 7)}, "steady"),
        ({"client": client_report(per_100ms=(140,) * 10 + (60,) * 10)}, "steady"),
    ],
)
def test_each_doubt_marks_the_trial_and_says_which(changes: dict[str, Any], check: str) -> None:
    judged = evidence(**changes)
    assert failed_checks(judged) == [check]
    _, _, state, reason = judge(judged)
    assert state == "marked"
    assert reason


def test_requests_of_unknown_fate_may_or_may_not_have_been_counted() -> None:
    client = client_report(life_unknown=5)
    for counted in (3_001, 3_004, 3_006):
        assert failed_checks(evidence(client=client, server=server_report(counted))) == []
    assert failed_checks(evidence(client=client, server=server_report(3_007))) == ["server-count"]


def test_without_counts_the_server_is_not_checkable_rather_than_failed() -> None:
    checks, _, state, _ = judge(evidence(server=None))
    assert next(check for check in checks if check.name == "server-count").passed is None
    assert state == "ok"


def test_a_server_that_counts_no_requests_has_its_other_checks_judged_by_the_clients_count() -> None:
    marks = tuple(mark(at_ns, 0).model_copy(update={"requests": None}) for at_ns in (1_000_000_000, 3_000_000_000))
    checks, _, state, _ = judge(evidence(server=server_report(marks=marks).model_copy(update={"requests": None})))
    by_name = {check.name: check for check in checks}
    assert (by_name["server-count"].passed, by_name["littles-law"].passed, state) == (None, True, "ok")
    assert "the client's count" in by_name["littles-law"].detail


def test_of_a_foreign_server_only_the_client_is_judged() -> None:
    judged = evidence(concurrency=None, server=None, usage=None, cores=None, client=STARVED)
    _, verdict, state, _ = judge(judged)
    assert (verdict.limited_by, state) == ("worker pool", "marked")


def test_marks_that_came_late_do_not_speak_for_the_window() -> None:
    late = server_report(marks=(mark(1_100_000_000, 501), mark(3_400_000_000, 4_000)))
    assert failed_checks(evidence(server=late)) == []


@pytest.mark.parametrize(
    ("changes", "culprit", "state"),
    [
        (SATURATED, "server cpu", "ok"),
        ({"client": client_report(cpu_user_s=1.9)}, "client cpu", "invalid"),
        ({"cores": cores(client=0.95)}, "client cpu", "invalid"),  # by whoever
        ({**SATURATED, "client": client_report(cpu_user_s=1.9)}, "server cpu", "ok"),
        ({"usage": usage(throttled_s=0.5)}, "throttling", "ok"),
        ({"client": client_report(**errors(timeout=300))}, "errors", "marked"),
        (
            {"client": client_report(**errors(closed=2_000), connections_served=0, connections_starved=10)},
            "errors",
            "marked",
        ),
        ({"client": STARVED, "concurrency": "workers"}, "worker pool", "marked"),
        ({**SATURATED, "client": STARVED, "concurrency": "workers"}, "worker pool", "marked"),
        ({**SATURATED, "client": STARVED}, "server cpu", "marked"),
    ],
)
def test_the_verdict_names_who_gave_out(changes: dict[str, Any], culprit: str, state: str) -> None:
    _, verdict, judged_state, _ = judge(evidence(**changes))
    assert (verdict.limited_by, judged_state) == (culprit, state)
    assert verdict.evidence


def test_a_window_too_short_for_every_connection_is_no_full_pool() -> None:
    short = client_report(connections_served=8, connections_starved=2, completed_in_window=20, residence_s=0.2)
    checks, verdict, _, reason = judge(evidence(client=short, server=None, concurrency="workers"))
    assert verdict.limited_by == "nobody"
    assert "2.0 answers a connection" in (reason or "")
    assert checks[0].passed is False


@pytest.mark.parametrize(("lag_us", "state"), [(400, "ok"), (2_500, "invalid")])
def test_an_open_loop_whose_client_sends_late_says_nothing_about_the_server(lag_us: int, state: str) -> None:
    trial = Trial.model_validate({"load": {"kind": "open", "rate": "1000/s", "connections": 10, "window": "2 s"}})
    histograms = {"response": {4_000: 2_000}, "send_lag": {index_of(lag_us * 1_000): 2_000}}
    judged = evidence(trial=trial, client=client_report(schedule=2_000, histograms=histograms))
    _, verdict, judged_state, _ = judge(judged)
    assert judged_state == state
    assert (verdict.limited_by == "client lag") == (state == "invalid")


def behind(**changes: Any) -> Evidence:
    """A server with a backend of 10 ms on a core of its own, asked 400 times a second."""
    marks = (mark(1_000_000_000, 501, backend_calls=200), mark(3_000_000_000, 2_501, backend_calls=1_000))
    loads = {**cores(), "backend": CoreLoad(cpus=(2,), busy=0.3, stolen=0.0)}
    fields: dict[str, Any] = {
        "trial": Trial.model_validate(
            {"load": {"connections": 10, "window": "2 s"}, "handler": {"backend": {"delay": "10 ms"}}}
        ),
        "server": server_report(backend_calls=3_001, backend_errors=0, marks=marks),
        "backend": backend_report(),
        "backend_usage": usage(0.4),
        "cores": loads,
    }
    return evidence(**{**fields, **changes})


BESIDE = Sharing(client_and_backend=True)
FAILING = {
    "client": client_report(**errors(status=500)),
    "server": server_report(2_501, backend_calls=3_001, backend_errors=500),
}


@pytest.mark.parametrize(
    ("changes", "culprit", "state"),
    [
        ({}, "nobody", "ok"),
        ({"backend_usage": usage(1.9)}, "backend", "invalid"),
        ({"backend_usage": usage(1.9), **SATURATED}, "server cpu", "ok"),
        # On the client's core it has the most of that; or others took it.
        ({"cores": cores(client=0.95), "backend_usage": usage(1.5), "sharing": BESIDE}, "backend", "invalid"),
        ({"cores": cores(client=0.95), "backend_usage": usage(0.1), "sharing": BESIDE}, "client cpu", "invalid"),
        (FAILING, "backend", "marked"),
        ({**FAILING, **SATURATED}, "errors", "marked"),  # a server that does not get round to reading its answers
        ({"workers": 4, "concurrency": "workers"}, "worker pool", "ok"),  # 400/s x 10 ms: all four wait
        ({"workers": 4, "concurrency": "workers", "cores": cores(client=0.99)}, "worker pool", "ok"),
        ({"workers": 8, "concurrency": "workers"}, "nobody", "ok"),  # half of them
        ({"workers": 4, "client": client_report(in_flight_integral_s=6.0, residence_s=6.0)}, "nobody", "ok"),
        ({"workers": 4, "backend": None}, "nobody", "ok"),
    ],
)
def test_the_verdict_knows_the_backend(changes: dict[str, Any], culprit: str, state: str) -> None:
    _, verdict, judged_state, reason = judge(behind(**changes))
    assert (verdict.limited_by, judged_state) == (culprit, state), reason


@pytest.mark.parametrize(("workers", "claimed"), [(None, False), (4, True)])
def test_beside_the_client_a_backend_allows_no_absolute_capacity_but_that_of_a_pool(
    workers: int | None, claimed: bool
) -> None:
    checks, verdict, _, _ = judge(behind(cores=cores(), sharing=BESIDE, workers=workers))
    assert ("no absolute capacity" not in verdict.evidence) == claimed
    assert "the backend shared the client's" in next(check.detail for check in checks if check.name == "apart")
    assert "no absolute capacity" not in judge(behind())[1].evidence


FAULTY = Trial.model_validate({"load": {"connections": 10, "window": "2 s"}, "handler": {"fault": "crash"}})


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"client": STARVED}, "served"),
        ({"client": client_report(**errors(reset=1))}, "errors"),
        ({"client": client_report(in_flight_integral_s=21.0)}, "littles-law"),
        ({"server": server_report(3_000)}, "server-count"),
        ({"client": client_report(per_100ms=(200,) * 7 + (0,) * 6 + (86,) * 7)}, "steady"),
    ],
)
def test_what_a_fault_that_was_asked_for_breaks_does_not_mark_the_trial_and_is_kept(
    changes: dict[str, Any], check: str
) -> None:
    doubted = next(found for found in judge(evidence(**changes))[0] if found.name == check)
    checks, _, state, _ = judge(evidence(trial=FAULTY, **changes))
    found = next(found for found in checks if found.name == check)
    assert (doubted.passed, found.passed, state) == (False, None, "ok")
    assert found.detail == f"a fault was asked for; {doubted.detail}"


def test_of_a_server_that_nobody_looked_into_it_is_not_known_who_gave_out() -> None:
    assert judge(evidence(usage=None, server=None, cores=None))[1].limited_by == "unknown"


@pytest.mark.parametrize(
    ("kind", "fault", "says"),
    [
        ("crash", {"outcome": "closed", "sent_ns": 2_000_000_000, "after_s": 0.9}, None),
        ("crash", {"outcome": "reset", "sent_ns": 2_000_000_000, "after_s": 1.5}, "it came 0.5 s after the window"),
        ("leak", {"outcome": "answered", "sent_ns": 2_000_000_000, "after_s": 3.0}, "it came 2.0 s after the window"),
        ("crash", {"outcome": "silence", "sent_ns": 2_000_000_000}, "was still waiting when its deadline came"),
        ("exit", {"outcome": "answered", "sent_ns": 2_000_000_000, "after_s": 0.1}, "as one that sets nothing off"),
        ("hang", {"outcome": "answered", "sent_ns": 2_000_000_000, "after_s": 0.1}, "as one that sets nothing off"),
        ("crash", {"outcome": "not sent", "sent_ns": None}, "could not be sent"),
        ("hang", {"outcome": "silence", "sent_ns": 2_000_000_000}, None),
        (
            "deadlock",
            {"outcome": "answered", "sent_ns": 2_000_000_000, "after_s": 0.1},
            None,
        ),  # nobody to deadlock with
    ],
)
def test_a_window_that_does_not_show_its_fault_says_nothing(kind: str, fault: dict[str, Any], says: str | None) -> None:
    report = FaultReport.model_validate({"kind": kind, "after_s": None, **fault})
    _, _, state, reason = judge(evidence(trial=FAULTY, fault=report))
    assert state == ("invalid" if says else "ok")
    assert (says or "") in (reason or "")


@pytest.mark.parametrize("changes", [{"cores": cores(server=0.4)}, {"sharing": Sharing(client_and_server=True)}])
def test_what_is_not_the_faults_doing_marks_its_trial_all_the_same(changes: dict[str, Any]) -> None:
    assert judge(evidence(trial=FAULTY, **changes))[2] == "marked"


@pytest.mark.parametrize(
    ("changes", "culprit"),
    [
        ({}, "nobody"),
        ({"server": None, "usage": None}, "fault"),  # it did not live to report
        ({"client": client_report(per_100ms=(150,) * 13 + (7,) * 2 + (0,) * 5)}, "fault"),  # nothing moves any more
        ({"client": client_report(**errors(reset=500))}, "fault"),
        (SATURATED, "server cpu"),
    ],
)
def test_a_fault_gave_out_where_the_server_did_not_survive_it(changes: dict[str, Any], culprit: str) -> None:
    assert judge(evidence(trial=FAULTY, **changes))[1].limited_by == culprit
