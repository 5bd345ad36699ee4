"""Times to detect and to recover, and missed answers, from counts made up so that the truth is known."""

from typing import Any

import pytest

from harness.analysis.measures import measure
from harness.analysis.recovery import Recovery, recoveries
from harness.raw import BalancerEvent, BalancerReport, TimedFaultReport
from harness.result import HostUse, TrialResult
from harness.spec.experiment import Trial
from tests.run.records import client_report, trial_result

START_NS = 1_000_000_000  # of the window
SLICES = 60
RATE = 50  # right answers of a slice while all is well
ACT_S = 2.05  # in the middle of a slice: number 20


def at_ns(at_s: float) -> int:
    return START_NS + round(at_s * 1e9)


def report(at_s: float = ACT_S, **changes: Any) -> TimedFaultReport:
    fields: dict[str, Any] = {
        "do": "kill-server",
        "server": 2,
        "host": "local",
        "planned_ns": at_ns(at_s),
        "began_ns": at_ns(at_s),
        "done_ns": at_ns(at_s),
        "outcome": "done",
    }
    return TimedFaultReport.model_validate({**fields, **changes})


def event(at_s: float, state: str = "down", server: str = "server-2") -> BalancerEvent:
    return BalancerEvent.model_validate({"at_ns": at_ns(at_s), "state": state, "server": server})


def trial(
    answers: dict[int, int] | None = None,
    errors: dict[int, int] | None = None,
    faults: tuple[TimedFaultReport, ...] = (report(),),
    events: tuple[BalancerEvent, ...] = (),
    load: dict[str, Any] | None = None,
    **changes: Any,
) -> TrialResult:
    """A trial of 6 s; slices that differ from what they are while all is well, by their number."""
    said = {"load": {"window": "6 s", "timeout": "1 s", **(load or {})}, "servers": 3, "balancer": "haproxy-tcp"}
    asked = [{"at": "2 s", "do": fault.do, "server": fault.server} for fault in faults]
    client = client_report(
        window_end_ns=at_ns(SLICES / 10),
        per_100ms=tuple((answers or {}).get(number, RATE) for number in range(SLICES)),
        errors_per_100ms=tuple((errors or {}).get(number, 0) for number in range(SLICES)),
    )
    balancer = BalancerReport(
        at_ns=at_ns(7), connections=0, connections_now=0, queued_now=0, servers=(), version="", started_ns=0,
        checks_most=0, connections_limit=0, marks=(), events=events,
    )  # fmt: skip
    asks = Trial.model_validate({**said, "faults": asked})
    return trial_result(client=client, balancer=balancer, faults=faults, **{"trial": asks, **changes})


def only(result: TrialResult) -> Recovery:
    (found,) = recoveries(result)
    return found


def test_a_fault_that_nobody_notices_costs_nothing() -> None:
    found = only(trial())
    assert (found.detect_s, found.recover_s, found.missed) == (None, 0.0, 0.0)
    assert found.at_s == pytest.approx(ACT_S)


def test_errors_are_noticed_by_the_end_of_their_slice_and_recovery_is_after_the_last() -> None:
    found = only(trial(answers={20: 30, 21: 0, 22: 40}, errors={21: 9, 22: 1}))
    assert found.first_error_s == pytest.approx(2.2 - ACT_S)
    assert found.detect_s == found.first_error_s
    assert found.recover_s == pytest.approx(2.3 - ACT_S)
    assert found.missed == 20 + 50 + 10


def test_a_stall_without_an_error_is_recovered_from_when_the_rate_is_back() -> None:
    found = only(trial(answers=dict.fromkeys(range(21, 29), 0)))
    assert (found.first_error_s, found.detect_s) == (None, None)
    assert found.recover_s == pytest.approx(2.9 - ACT_S)
    assert found.missed == 8 * RATE


def test_answers_that_come_late_all_the_same_are_not_missed() -> None:
    found = only(trial(answers={20: 0, 21: 0, 22: 150}, errors={22: 1}))
    assert found.missed == 0


def test_a_calm_before_the_first_timeout_is_no_recovery() -> None:
    """What was sent to a frozen server fails a timeout later: until then the others answer as if nothing were."""
    found = only(trial(errors={29: 5}, load={"timeout": "1 s"}))
    assert found.recover_s == pytest.approx(3.0 - ACT_S)


def test_where_requests_may_wait_longer_than_the_window_goes_on_nobody_knows() -> None:
    found = only(trial(load={"timeout": "5 s"}))
    assert found.recover_s is None


def test_what_does_not_come_back_has_no_time_and_is_missed_to_the_end() -> None:
    found = only(trial(answers=dict.fromkeys(range(20, SLICES), 33)))
    assert found.recover_s is None
    assert found.missed == (SLICES - 20) * (RATE - 33)


@pytest.mark.parametrize(
    ("answers", "back"),
    [
        (dict.fromkeys(range(20, SLICES), 46), True),  # 8 % less
        (dict.fromkeys(range(20, SLICES), 30), False),
        ({20: 28}, False),  # a single slice beyond chance: 50 less 3 times its square root
        ({20: 30}, True),
    ],
)
def test_the_rate_is_back_within_a_tenth_or_chance(answers: dict[int, int], back: bool) -> None:
    assert (only(trial(answers=answers)).recover_s == 0.0) is back


def test_the_balancer_s_word_counts_where_it_is_the_first() -> None:
    events = (event(1.0), event(2.1, server="server-1"), event(2.2), event(4.0, "up"), event(5.0))
    found = only(trial(errors={25: 1}, events=events))
    assert found.balancer_s == pytest.approx(2.2 - ACT_S)
    assert found.first_error_s == pytest.approx(2.6 - ACT_S)
    assert found.detect_s == found.balancer_s


def test_a_balancer_on_another_host_has_a_clock_of_its_own() -> None:
    hosts = {
        "a": HostUse(boot_id="", services=("server-2",), clock_offset_ns=10**9, clock_error_ns=0),
        "b": HostUse(boot_id="", services=("balancer",), clock_offset_ns=-(10**9), clock_error_ns=0),
    }
    found = only(trial(events=(event(2.25 - 1.0),), hosts=hosts))
    assert found.balancer_s == pytest.approx(0.2)


def test_each_of_several_faults_has_its_own_time_up_to_the_next() -> None:
    faults = (report(2.0), report(4.0, do="freeze-server", server=1))
    found = recoveries(trial(answers={40: 0}, errors={21: 1, 42: 1}, faults=faults))
    assert [one.fault.do for one in found] == ["kill-server", "freeze-server"]
    assert [one.recover_s for one in found] == [pytest.approx(0.2), pytest.approx(0.3)]
    assert [one.missed for one in found] == [0, RATE]
    values = measure(trial(answers={40: 0}, errors={21: 1, 42: 1}, faults=faults))
    assert values["time_to_recover_s"] == pytest.approx(0.3)
    assert values["time_to_detect_s"] == pytest.approx(0.3)
    assert values["missed_answers"] == RATE


def test_what_the_balancer_says_after_the_next_fault_of_that_host_is_of_that_one() -> None:
    faults = (report(2.0, do="freeze-worker"), report(4.0))
    first, second = recoveries(trial(faults=faults, events=(event(4.3),)))
    assert (first.balancer_s, first.detect_s) == (None, None)
    assert second.detect_s == pytest.approx(0.3)


def test_of_faults_of_two_hosts_at_once_the_balancer_s_word_on_each_server_counts() -> None:
    faults = (report(2.0, do="partition", host="a", server=1), report(2.01, do="partition", host="b"))
    found = recoveries(trial(faults=faults, events=(event(2.3, server="server-1"), event(2.4))))
    assert [one.balancer_s for one in found] == [pytest.approx(0.3), pytest.approx(0.39)]


def test_a_fault_that_follows_too_soon_leaves_the_first_without_a_recovery() -> None:
    faults = (report(2.0), report(2.5, do="freeze-server", server=1))
    found = recoveries(trial(faults=faults))
    assert [one.recover_s for one in found] == [None, 0.0]
    assert measure(trial(faults=faults))["time_to_recover_s"] is None


@pytest.mark.parametrize(
    "result",
    [
        trial(faults=(report(0.3),)),
        trial(load={"kind": "open", "rates": ["100/s", "200/s"]}),
    ],
    ids=["too soon after the window's start", "a load that changes"],
)
def test_without_a_rate_before_it_there_is_nothing_to_come_back_to(result: TrialResult) -> None:
    found = only(result)
    assert (found.recover_s, found.missed) == (None, None)


@pytest.mark.parametrize(
    "faults",
    [
        (report(began_ns=None, done_ns=None, outcome="not begun"),),
        (report(done_ns=None, outcome="failed"),),
        (report(6.5),),
        (),
    ],
    ids=["not begun", "failed", "after the window", "none"],
)
def test_what_was_not_done_in_the_window_has_no_recovery(faults: tuple[TimedFaultReport, ...]) -> None:
    result = trial(faults=faults)
    assert recoveries(result) == ()
    values = measure(result)
    assert [values[name] for name in ("time_to_detect_s", "time_to_recover_s", "missed_answers")] == [None] * 3


def test_undoing_is_told_from_the_window_s_start() -> None:
    assert only(trial(faults=(report(undone_ns=at_ns(4.5)),))).undone_s == pytest.approx(4.5)


def test_reports_of_an_older_client_tell_no_errors_and_so_no_recovery() -> None:
    result = trial()
    assert result.client is not None
    old = result.model_copy(update={"client": result.client.model_copy(update={"errors_per_100ms": ()})})
    assert (only(old).first_error_s, only(old).recover_s) == (None, None)
