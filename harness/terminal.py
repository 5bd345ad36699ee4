"""What a person sees while an experiment runs: a live line in a terminal, a plain line per trial elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from harness.analysis.compare import BREAKING, ENDING
from harness.analysis.recovery import recoveries, worst
from harness.events import Tick
from harness.plan import PlannedTrial
from harness.raw import ClientReport
from harness.report import Report
from harness.result import TrialResult

_STATE_STYLE = {"ok": "green", "marked": "yellow", "invalid": "magenta", "failed": "red", "void": "red"}


class Display:
    """Progress of a run on standard error, so that standard output stays for results."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._total = self._ended = 0
        self._left_s = 0.0
        self._last: Tick | None = None
        self._trial_id = ""
        self._step = ""  # what a search for capacity tries

    def say(self, message: str) -> None:
        """A plain line."""
        self._console.print(escape(message), soft_wrap=True)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announce a step, and say how long it took when it took long enough to wonder."""
        begun = time.monotonic()
        with self._console.status(escape(name)) if self._console.is_terminal else _silence():
            yield
        took_s = time.monotonic() - begun
        if took_s >= 1:
            self.say(f"{name}: {took_s:.1f} s")

    @contextmanager
    def trials(self, total: int, done: int, estimate_s: float) -> Iterator[None]:
        """The live line over all trials of a run; there may be fewer, where it depends on what they show."""
        self._total, self._ended, self._left_s = total, done, estimate_s
        if not self._console.is_terminal:
            self.say(f"{self._total - done} trials to run, about {clock(estimate_s)}")
            yield
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
        )
        with Progress(*columns, console=self._console, transient=True) as self._progress:
            self._task = self._progress.add_task("", total=self._total, completed=done, left="")
            yield
        self._progress = None

    @contextmanager
    def live(self, name: str) -> Iterator[None]:
        """A live line without a plan: the rate of one load."""
        self._trial_id, self._last = name, None
        if not self._console.is_terminal:
            yield
            return
        with Progress(TextColumn("{task.description}"), console=self._console, transient=True) as self._progress:
            self._task = self._progress.add_task(name, left="")
            yield
        self._progress = None

    def trial_begins(self, planned: PlannedTrial, total: int) -> None:
        """A trial starts, of so many as the run now has at most."""
        self._trial_id, self._last, self._total, self._step = planned.id, None, total, ""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, total=total)
        self._update(f"{planned.id}")

    def step(self, what: str) -> None:
        """A search for capacity goes on to its next rate."""
        self._step, self._last = f", {what}", None
        self._update(f"{self._trial_id}{self._step}")

    def tick(self, tick: Tick) -> None:
        """The client's word while it runs: the live rate."""
        if self._last is not None and tick.at_ns > self._last.at_ns:
            rate = (tick.ok - self._last.ok) / ((tick.at_ns - self._last.at_ns) / 1e9)
            errors = f", {tick.errors} errors" if tick.errors else ""
            self._update(f"{self._trial_id}{self._step}  {rate:,.0f} requests/s{errors}")
        self._last = tick

    def trial_ends(self, result: TrialResult, left_s: float) -> None:
        """A trial is done: its line, and the time left."""
        self._left_s, self._ended = left_s, self._ended + 1
        style = _STATE_STYLE[result.state]
        line = f"[{style}]{result.state:>7}[/] {self._ended:>4}/{self._total}  {escape(result.id)}"
        if result.client is not None:
            line += f"  {_came_of_it(result, result.client)}"
        if result.verdict is not None and result.verdict.limited_by not in ("nobody", "unknown"):
            line += f", limited by {escape(result.verdict.limited_by)}"
        if result.reason:
            line += f"\n        {escape(result.reason)}"
        if not self._console.is_terminal or result.state != "ok":
            self._console.print(line, soft_wrap=True)
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task)
        self._update("")

    def _update(self, text: str) -> None:
        if self._progress is not None and self._task is not None:
            left = f"about {clock(self._left_s)} left"
            self._progress.update(self._task, description=escape(text), left=left)


@contextmanager
def _silence() -> Iterator[None]:
    yield


def _came_of_it(result: TrialResult, client: ClientReport) -> str:
    """The one number of a trial: its throughput, or what a fault took with it."""
    fault = result.trial.handler.fault
    if result.trial.faults:
        back_s = worst([one.recover_s for one in recoveries(result)])
        recovered = "not recovered within the window" if back_s is None else f"recovered after {back_s:.1f} s"
        return f"{recovered}, {sum(client.errors.values()):,} requests failed"
    if fault in ENDING and client.connections_lost is not None:
        return f"{client.connections_lost:,} connections lost to the {fault}"
    if fault in BREAKING:
        return f"{sum(client.errors.values()):,} requests failed with the {fault}"
    window_s = (client.window_end_ns - client.window_start_ns) / 1e9
    return f"{client.completed_in_window / window_s:,.0f} requests/s"


def clock(seconds: float) -> str:
    """A length of time for people: `3:25 min`, `40 s`."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02} h" if hours else f"{minutes}:{rest:02} min"


def print_summary(report: Report) -> None:
    """What a run ends with, on standard output: the table of points, the answer, where the report is."""
    console, table = Console(highlight=False), report.table
    if not console.is_terminal:
        console = Console(highlight=False, width=250)  # a log or a pipe has no width to fold to
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for title, numeric in zip(table.columns, table.numeric, strict=True):
        grid.add_column(escape(title), justify="right" if numeric else "left")
    for row in table.rows:
        grid.add_row(*(escape(cell) for cell in row))
    page = report.index.relative_to(Path.cwd()) if report.index.is_relative_to(Path.cwd()) else report.index
    console.print(grid)
    console.print(f"\n{escape(report.answer)}\n", soft_wrap=True)
    console.print(f"report: {escape(str(page))}", soft_wrap=True)
