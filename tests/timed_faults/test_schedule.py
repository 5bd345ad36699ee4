"""Faults at their time on real servers: what they break, how it is undone, and that it is on any way out."""

import time

import psutil
import pytest

from harness.errors import MeasureError
from harness.raw import TimedFaultReport
from harness.runtime.base import Runtime
from harness.timed_faults import FaultSchedule
from tests.timed_faults.conftest import DEADLINE_S, Serve, answers, fault, wait_until

MS = 1_000_000


def only(reports: tuple[TimedFaultReport, ...]) -> TimedFaultReport:
    (report,) = reports
    return report


def workers(pid: int) -> list[psutil.Process]:
    return sorted(psutil.Process(pid).children(), key=lambda one: one.pid)


def is_stopped(worker: psutil.Process) -> bool:
    return bool(worker.status() == psutil.STATUS_STOPPED)


def is_gone(worker: psutil.Process) -> bool:
    return not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_a_killed_server_is_gone_and_after_its_time_is_started_again(runtime: Runtime, serve: Serve) -> None:
    target = serve(runtime)
    with FaultSchedule([fault("kill-server", lasts="300 ms")], [target]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: not target.service.running())
        assert not answers(target)
        wait_until(lambda: answers(target))
        wait_until(lambda: only(faults.report()).undone_ns is not None)
    report = only(faults.report())
    assert report.outcome == "done"
    assert report.began_ns is not None
    assert report.done_ns is not None
    assert report.undone_ns is not None
    assert report.planned_ns <= report.began_ns < report.done_ns < report.undone_ns
    assert report.undone_ns - report.began_ns >= 300 * MS
    assert faults.troubles == []


def test_a_killed_server_without_a_time_stays_dead_at_the_end(process_runtime: Runtime, serve: Serve) -> None:
    target = serve(process_runtime)
    with FaultSchedule([fault("kill-server")], [target]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: only(faults.report()).done_ns is not None)
    assert not target.service.running()
    assert only(faults.report()).undone_ns is None


def test_a_frozen_server_answers_nothing_until_the_end(runtime: Runtime, serve: Serve) -> None:
    target = serve(runtime)
    with FaultSchedule([fault("freeze-server")], [target]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: only(faults.report()).done_ns is not None)
        assert not answers(target)
        faults.end()
        assert answers(target, DEADLINE_S)
        undone_ns = only(faults.report()).undone_ns
        assert undone_ns is not None
        faults.end()
    assert only(faults.report()).undone_ns == undone_ns  # once, however often it ends


def test_what_is_frozen_is_thawed_also_when_the_trial_breaks(process_runtime: Runtime, serve: Serve) -> None:
    target = serve(process_runtime)

    def interrupted() -> None:
        with FaultSchedule([fault("freeze-server", lasts="1 h")], [target]) as faults:
            faults.arm(time.monotonic_ns())
            wait_until(lambda: only(faults.report()).done_ns is not None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert answers(target, DEADLINE_S)


def test_a_killed_worker_is_the_one_made_first_and_the_others_go_on(runtime: Runtime, serve: Serve) -> None:
    target = serve(runtime)
    first, second = workers(target.service.main_pid)
    with FaultSchedule([fault("kill-worker")], [target]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: is_gone(first))
        wait_until(lambda: only(faults.report()).done_ns is not None)
    assert second.is_running()
    assert only(faults.report()).detail == f"process {first.pid}"
    assert answers(target, DEADLINE_S)


def test_a_frozen_worker_stands_still_until_its_time_is_over(process_runtime: Runtime, serve: Serve) -> None:
    target = serve(process_runtime)
    first, second = workers(target.service.main_pid)
    with FaultSchedule([fault("freeze-worker", lasts="400 ms")], [target]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: is_stopped(first))
        assert not is_stopped(second)
        wait_until(lambda: not is_stopped(first))


def test_a_worker_of_a_server_that_has_none_cannot_be_killed_and_that_is_told(
    process_runtime: Runtime, serve: Serve
) -> None:
    target = serve(process_runtime, model="reactor")
    with FaultSchedule([fault("kill-worker")], [target]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: only(faults.report()).detail != "")
    report = only(faults.report())
    assert (report.outcome, report.done_ns) == ("failed", None)
    assert "has no child process" in report.detail


def test_a_crashed_handler_takes_its_worker_with_it_and_what_was_answered_is_counted(
    process_runtime: Runtime, serve: Serve
) -> None:
    target = serve(process_runtime, handler={"fault": "crash"})
    before = workers(target.service.main_pid)
    with FaultSchedule([fault("crash-handler")], [target]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: only(faults.report()).done_ns is not None)
        assert faults.requests_answered() == 1
    wait_until(lambda: sum(is_gone(worker) for worker in before) == 1)


def test_a_handler_that_does_not_crash_is_told(process_runtime: Runtime, serve: Serve) -> None:
    target = serve(process_runtime)
    with FaultSchedule([fault("crash-handler")], [target]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: only(faults.report()).detail != "")
        assert faults.requests_answered() == 2
    assert "answered (status 200)" in only(faults.report()).detail


def test_a_server_that_does_not_answer_beforehand_is_an_error(process_runtime: Runtime, serve: Serve) -> None:
    target = serve(process_runtime)
    target.service.kill()
    with pytest.raises(MeasureError, match="set off the fault"):
        FaultSchedule([fault("crash-handler")], [target], timeout_s=0.2).__enter__()


def test_each_fault_has_its_own_time_and_its_own_server(process_runtime: Runtime, serve: Serve) -> None:
    targets = [serve(process_runtime), serve(process_runtime)]
    asked = [fault("freeze-server", "300 ms", server=1, lasts="10 ms"), fault("kill-server", "50 ms", server=2)]
    with FaultSchedule(asked, targets) as faults:
        start_ns = time.monotonic_ns()
        faults.arm(start_ns)
        wait_until(lambda: all(report.done_ns is not None for report in faults.report()))
    frozen, killed = faults.report()  # in the spec's order, not in that of time
    assert [frozen.planned_ns - start_ns, killed.planned_ns - start_ns] == [300 * MS, 50 * MS]
    assert killed.began_ns is not None
    assert frozen.began_ns is not None
    assert killed.began_ns < frozen.began_ns
    assert [target.service.running() for target in targets] == [True, False]


def test_what_was_not_due_yet_is_not_begun(process_runtime: Runtime, serve: Serve) -> None:
    target = serve(process_runtime)
    with FaultSchedule([fault("kill-server", "1 h")], [target]) as faults:
        faults.arm(time.monotonic_ns())
    report = only(faults.report())
    assert (report.outcome, report.began_ns, report.undone_ns) == ("not begun", None, None)
    assert answers(target, DEADLINE_S)


def test_without_being_armed_nothing_is_done_and_nothing_reported(process_runtime: Runtime, serve: Serve) -> None:
    target = serve(process_runtime)
    with FaultSchedule([fault("kill-server")], [target]) as faults:
        pass
    assert faults.report() == ()
    assert answers(target, DEADLINE_S)


def test_what_cannot_be_undone_is_told_and_stops_nothing(process_runtime: Runtime, serve: Serve) -> None:
    target = serve(process_runtime)
    with FaultSchedule([fault("kill-server", lasts="300 ms")], [target]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: only(faults.report()).done_ns is not None)
        target.service.remove()  # as a cleaner would that has gone too far
        wait_until(lambda: only(faults.report()).detail != "")
    (trouble,) = faults.troubles
    assert trouble.startswith("kill-server of server 1 could not be undone: ")
    report = only(faults.report())
    assert (report.outcome, report.undone_ns, report.detail) == ("done", None, trouble)
