"""The faults of one trial, each at its time, in a thread of its own."""

import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Literal, Self

from harness.errors import HarnessError
from harness.raw import TimedFaultReport
from harness.spec.cluster import TimedFault
from harness.timed_faults.actions import Action, action_for
from harness.timed_faults.target import FaultTarget

END_DEADLINE_S = 180.0
"""For what is being done or undone when the trial ends: the longest of what acts is shorter."""


class FaultSchedule:
    """Does each fault at its time, and undoes it after its time, or at the end; on any way out, too."""

    def __init__(self, faults: Sequence[TimedFault], targets: Sequence[FaultTarget], timeout_s: float = 5.0) -> None:
        """Know what is to be done.

        Args:
            faults: of the trial.
            targets: its servers; the first is server 1.
            timeout_s: how long the request that crashes a handler may take.
        """
        self._faults = faults
        self._targets = targets
        self._timeout_s = timeout_s
        self._courses: list[_Course] = []
        self._running: list[Future[None]] = []
        self._over = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self.troubles: list[str] = []  # what could not be undone, a line each

    def __enter__(self) -> Self:
        """Get ready: connections that set something off are made before the load's.

        Raises:
            MeasureError: a server does not answer on such a connection.
        """
        with contextlib.ExitStack() as made:
            for fault in self._faults:
                target = self._targets[fault.server - 1]
                action = action_for(fault, target, self._timeout_s)
                made.callback(action.close)
                self._courses.append(_Course(fault, target.host, action))
            made.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Undo what is not undone yet."""
        self.end()
        for course in self._courses:
            course.action.close()

    def arm(self, window_start_ns: int) -> None:
        """Begin to wait for each fault's time; called once.

        Args:
            window_start_ns: from when the times count, CLOCK_MONOTONIC of this machine.
        """
        if not self._courses:
            return
        self._pool = ThreadPoolExecutor(len(self._courses), thread_name_prefix="fault")
        for course in self._courses:
            course.planned_ns = window_start_ns + course.fault.at.ns
        self._running = [self._pool.submit(course.run, self._over) for course in self._courses]

    def end(self) -> None:
        """Begin nothing more, and undo whatever is to be undone, the last first. May be called twice."""
        self._over.set()
        for running in self._running:
            try:
                running.result(END_DEADLINE_S)
            except TimeoutError:
                self.troubles.append(f"a fault was still being done {END_DEADLINE_S:.0f} s after the trial's end")
        if self._pool is not None:
            self._pool.shutdown(wait=False)
        self._running, self._pool = [], None
        for course in reversed(self._courses):
            course.undo_at_end()
            if course.trouble is not None and course.trouble not in self.troubles:
                self.troubles.append(course.trouble)

    def report(self) -> tuple[TimedFaultReport, ...]:
        """What was done, in the spec's order; nothing before it was armed."""
        return tuple(course.report() for course in self._courses if course.planned_ns is not None)

    def requests_answered(self) -> int:
        """Requests that the servers answered to it, as they count them."""
        return sum(course.action.answered() for course in self._courses)


class _Course:
    """One fault on its way. Only its own thread writes while that runs."""

    def __init__(self, fault: TimedFault, host: str, action: Action) -> None:
        self.fault = fault
        self.action = action
        self.planned_ns: int | None = None
        self._host = host
        self._began_ns: int | None = None
        self._done_ns: int | None = None
        self._undone_ns: int | None = None
        self._detail = ""
        self.trouble: str | None = None  # why it is not undone

    def run(self, over: threading.Event) -> None:
        """Wait, act, and undo it after its time; once the trial is over, begin nothing more."""
        assert self.planned_ns is not None  # noqa: S101 - it is armed
        if not _until(self.planned_ns, over):
            return
        self._began_ns = time.monotonic_ns()
        try:
            self._detail = self.action.act()
        except (HarnessError, OSError) as error:
            self._detail = str(error)
            return
        self._done_ns = time.monotonic_ns()
        if self.fault.lasts is not None and _until(self._began_ns + self.fault.lasts.ns, over):
            self._undo()

    def undo_at_end(self) -> None:
        """Undo it where it is not yet."""
        if self._began_ns is not None and self._undone_ns is None and self.action.undo_at_end:
            self._undo()

    def _undo(self) -> None:
        """What has failed may be half done, so that is tried, too; where it does not go, something may be left."""
        if self.action.undo is None:
            return
        try:
            self.action.undo()
        except (HarnessError, OSError) as error:
            how = "" if self._done_ns is not None else "failed, may be half done, and "
            self.trouble = f"{self.fault.do} of server {self.fault.server} {how}could not be undone: {error}"
            return
        self.trouble = None
        self._undone_ns = None if self._done_ns is None else time.monotonic_ns()

    def report(self) -> TimedFaultReport:
        """What came of it."""
        assert self.planned_ns is not None  # noqa: S101 - whoever asks has looked
        return TimedFaultReport(
            do=self.fault.do,
            server=self.fault.server,
            host=self._host,
            planned_ns=self.planned_ns,
            began_ns=self._began_ns,
            done_ns=self._done_ns,
            undone_ns=self._undone_ns,
            outcome=self._outcome(),
            detail="; ".join(filter(None, (self._detail, self.trouble))),
        )

    def _outcome(self) -> Literal["done", "failed", "not begun"]:
        if self._began_ns is None:
            return "not begun"
        return "failed" if self._done_ns is None else "done"


def _until(at_ns: int, over: threading.Event) -> bool:
    """Wait for an instant; False where the trial was over before."""
    while (left_ns := at_ns - time.monotonic_ns()) > 0:
        if over.wait(left_ns / 1e9):
            return False
    return not over.is_set()
