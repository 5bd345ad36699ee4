"""A trial is judged by whether its window shows the faults that were asked for."""

from typing import Any

import pytest

from harness.judging.verdict import judge
from harness.raw import TimedFaultReport
from harness.spec.experiment import Trial
from tests.run.records import client_report, evidence

AT_NS = 2_000_000_000  # within the window of `client_report`
END_NS = 3_000_000_000  # the window's end


def report(**changes: Any) -> TimedFaultReport:
    fields: dict[str, Any] = {"do": "freeze-server", "server": 1, "host": "local", "planned_ns": AT_NS}
    done = {"began_ns": AT_NS, "done_ns": AT_NS + 1_000_000, "outcome": "done"}
    return TimedFaultReport.model_validate({**fields, **done, **changes})


def trial(*does: str, **changes: Any) -> Trial:
    faults = [{"at": "1 s", "do": do} for do in does]
    return Trial.model_validate({"load": {"connections": 10, "window": "2 s"}, "faults": faults, **changes})


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (report(began_ns=None, done_ns=None, outcome="not begun"), "the freeze-server of server 1 was not begun"),
        (report(done_ns=None, outcome="failed", detail="a: no such thing"), "could not be done (a: no such thing)"),
        (report(done_ns=END_NS + 500_000_000), "was done 0.5 s after the window"),
    ],
    ids=["not begun", "failed", "late"],
)
def test_a_fault_that_the_window_does_not_show_makes_the_trial_invalid(fault: TimedFaultReport, says: str) -> None:
    _, _, state, reason = judge(evidence(trial=trial("freeze-server"), faults=(fault,)))
    assert state == "invalid"
    assert reason is not None
    assert reason.startswith("the window does not show the freeze-server that was asked for: ")
    assert says in reason


def test_the_second_of_two_counts_as_well() -> None:
    late = report(do="kill-worker", began_ns=None, done_ns=None, outcome="not begun")
    _, _, state, reason = judge(evidence(trial=trial("freeze-server", "kill-worker"), faults=(report(), late)))
    assert state == "invalid"
    assert reason is not None
    assert "the kill-worker of server 1 was not begun" in reason


def test_errors_of_a_fault_that_was_done_are_no_doubt_about_the_trial() -> None:
    client = client_report(errors={"timeout": 100}, ok=1_900)
    checks, _, state, _ = judge(evidence(trial=trial("freeze-server"), faults=(report(),), client=client))
    assert state == "ok"
    assert {check.passed for check in checks if check.name in ("errors", "server-count")} == {None}


@pytest.mark.parametrize(("do", "dead"), [("kill-server", True), ("freeze-server", False), ("kill-worker", False)])
def test_a_server_without_a_report_is_dead_of_a_fault_only_where_that_ends_it(do: str, dead: bool) -> None:
    """One that does not count leaves no report, whatever befalls it."""
    _, verdict, _, _ = judge(evidence(trial=trial(do), faults=(report(do=do),), server=None))
    assert ("did not live to report" in verdict.evidence) is dead
