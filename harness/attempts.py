"""A trial that its client limited says nothing about the server: it runs again with one more client process.

As long as the client's side has a CPU for it. Every attempt has a fresh server; the record is of the last one, and names those
before. Later repeats of a point begin with as many processes as an earlier one ended with.
"""

from collections.abc import Iterable
from pathlib import Path

from harness import store
from harness.clients import another_helps
from harness.plan import PlannedTrial
from harness.readings import throughput_rps
from harness.result import Attempt, TrialResult
from harness.stage import Stage
from harness.terminal import Display
from harness.trial import run_trial

MOST_VOIDS = 2
"""How often a trial is made again because a host started anew in it; a run that goes on later makes it again once more."""

CLIENT_GAVE_OUT = ("client cpu", "client lag", "client files")


class Attempts:
    """Runs trials, each with as many client processes as it takes.

    Args:
        run: the run's folder.
        stage: where trials run.
        iterations_per_us: calibration of the CPU work.
        display: is told what is done.
        done: records of the run so far, those of an interrupted one among them.
    """

    def __init__(
        self, run: Path, stage: Stage, iterations_per_us: float, display: Display, done: Iterable[TrialResult]
    ) -> None:
        self._run = run
        self._stage = stage
        self._iterations_per_us = iterations_per_us
        self._display = display
        self._processes: dict[str, int] = {}  # by point: what its trials have come to
        for result in done:
            self._learn(result)

    def run(self, planned: PlannedTrial) -> TrialResult:
        """One record, of the first attempt that the client does not limit, or of the last one that can be made."""
        earlier: list[TrialResult] = []
        at_least, voids = self._processes.get(planned.point, 1), 0
        while True:
            result = run_trial(
                self._run,
                planned,
                self._stage,
                self._iterations_per_us,
                self._display.tick,
                at_least=at_least,
                on_step=self._display.step,
            )
            if result.state == "void" and voids < MOST_VOIDS:
                voids += 1
                self._display.say(f"{planned.id}: {_reason(result)}; again")
                store.note(self._run, "trial again", id=planned.id, reason=_reason(result))
                continue
            if not gave_out(result):
                break
            cpus = self._stage.client_cpus(planned.trial)
            if not another_helps(planned.trial, result.clients, cpus):
                result = with_nothing_left(result, cpus)
                break
            earlier.append(result)
            at_least = result.clients + 1
            self._tell(planned, result)
        self._learn(result)
        return with_attempts(result, earlier)

    def _learn(self, result: TrialResult) -> None:
        if result.client is not None:
            self._processes[result.point] = max(result.clients, self._processes.get(result.point, 1))

    def _tell(self, planned: PlannedTrial, result: TrialResult) -> None:
        message = f"the client gave out ({_reason(result)}); again with {result.clients + 1} client processes"
        self._display.say(f"{planned.id}: {message}")
        store.note(self._run, "trial again", id=planned.id, clients=result.clients + 1, reason=_reason(result))


def gave_out(result: TrialResult) -> bool:
    """Whether the client is what limited a trial."""
    if result.capacity is not None and result.capacity.ended == "client gave out":
        return True
    return result.state == "invalid" and result.verdict is not None and result.verdict.limited_by in CLIENT_GAVE_OUT


def with_attempts(result: TrialResult, earlier: Iterable[TrialResult]) -> TrialResult:
    """The record of a trial that was made again: it names the attempts before, and their time is the trial's."""
    earlier = tuple(earlier)
    if not earlier:
        return result
    spent_s = sum(attempt.elapsed_s for attempt in earlier)
    return result.model_copy(
        update={
            "attempts": tuple(
                Attempt(
                    clients=attempt.clients,
                    reason=_reason(attempt),
                    throughput_rps=throughput_rps(attempt.client) if attempt.client else 0.0,
                )
                for attempt in earlier
            ),
            "started": earlier[0].started,
            "elapsed_s": result.elapsed_s + spent_s,
            "overhead_s": result.overhead_s + spent_s,
        }
    )


def with_nothing_left(result: TrialResult, cpus: int) -> TrialResult:
    """The record of a trial that no further client process can save; its verdict says so."""
    if result.verdict is None:
        return result
    has = "CPU has a process" if cpus == 1 else f"{cpus} CPUs have a process each"
    evidence = f"{result.verdict.evidence}; the client's {has} already, so none was added"
    return result.model_copy(update={"verdict": result.verdict.model_copy(update={"evidence": evidence})})


def _reason(result: TrialResult) -> str:
    return result.reason or (result.verdict.evidence if result.verdict else "no reason was given")
