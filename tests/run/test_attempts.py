"""A trial that its client limited runs again with one more client process, as long as there is a CPU for it."""

import io
import json
import os
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import store
from harness.attempts import Attempts, gave_out, with_attempts, with_nothing_left
from harness.fleet import HERE
from harness.hosts.cores import CoreMap
from harness.placement import Placement
from harness.plan import Plan, make_plan
from harness.result import TrialResult, Verdict
from harness.runtime.base import make_owner
from harness.spec.experiment import Experiment, Trial
from harness.spec.foreign import RunningServer
from harness.spec.quantities import Duration, Rate
from harness.spec.traffic import Load
from harness.stage import Places, Stage, set_stage
from harness.terminal import Display
from tests.client.servers import OK_RESPONSE, answering, running
from tests.run.conftest import ROOT
from tests.run.records import client_report, trial_result


class Crowded(Stage):
    """A stage on which the client has two CPUs, whatever the machine: the same one twice, where there is but one."""

    def place(self, trial: Trial, at_least: int = 1) -> Placement:
        cpus = sorted(os.sched_getaffinity(0))
        placement, two = super().place(trial, at_least), (cpus[0], cpus[-1])
        clients = tuple(replace(client, cores=two) for client in placement.clients)
        return replace(placement, clients=clients, sides={HERE: CoreMap(server=(cpus[-1],), client=two, shared=False)})


@pytest.fixture
def own_cpus() -> Iterator[None]:
    """A trial pins the process that runs it; let go again."""
    cpus = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cpus)


def overloading(url: str) -> Plan:
    """Two repeats of a rate that no client on this earth keeps in Python: its send lag gives it away."""
    load = Load(
        kind="open",
        connections=8,
        rate=Rate.parse("3000000/s"),
        warmup=Duration.parse("50 ms"),
        window=Duration.parse("200 ms"),
        timeout=Duration.parse("500 ms"),
    )
    experiment = Experiment(version=1, title="?", base=Trial(model=RunningServer(url=url), load=load), repeats=2)
    return make_plan(experiment, "overload", {})


def crowded(plan: Plan, folder: Path, display: Display) -> Stage:
    trials = [planned.trial for planned in plan.trials]
    stage = set_stage(trials, {}, Places.under(ROOT, folder), "process", make_owner("test-attempts"), display)
    return Crowded(**{each.name: getattr(stage, each.name) for each in fields(stage)})


@pytest.mark.slow
@pytest.mark.usefixtures("own_cpus")
def test_it_runs_again_with_one_more_process_until_no_cpu_is_left_and_repeats_begin_with_that(tmp_path: Path) -> None:
    said = io.StringIO()
    display = Display(Console(file=said, width=1_000))
    with running(answering(OK_RESPONSE)) as server:
        plan = overloading(server.url.rstrip("/"))
        stage = crowded(plan, tmp_path, display)
        run = store.create_run(tmp_path, plan, b"", datetime.now(UTC))
        first_planned, second_planned = plan.trials
        attempts = Attempts(run, stage, 0.0, display, [])
        first, second = attempts.run(first_planned), attempts.run(second_planned)
        resumed = Attempts(run, stage, 0.0, display, [first, second]).run(second_planned)
    for result in (first, second, resumed):
        assert result.state == "invalid", result.reason
        assert result.client is not None
        assert len(result.client.processes) == result.clients == 2
        assert result.verdict is not None
        assert "the client's 2 CPUs have a process each already, so none was added" in result.verdict.evidence
    (before,) = first.attempts
    assert before.clients == 1
    assert before.throughput_rps > 0
    assert second.attempts == resumed.attempts == ()
    assert first.elapsed_s > first.trial.load.window.s * 2
    assert f"{first_planned.id}: the client gave out" in said.getvalue()
    assert said.getvalue().count("again with 2 client processes") == 1
    journal = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    assert [line["clients"] for line in journal if line["event"] == "trial again"] == [2]


def a_result(limited_by: Any, state: str = "invalid", **changes: Any) -> TrialResult:
    verdict = Verdict(limited_by=limited_by, evidence="some evidence")
    return trial_result(state=state, reason="a reason", verdict=verdict, **changes)


@pytest.mark.parametrize(
    ("limited_by", "state", "again"),
    [
        ("client cpu", "invalid", True),
        ("client lag", "invalid", True),
        ("backend", "invalid", False),
        ("ports", "invalid", False),
        ("client lag", "failed", False),
        ("server cpu", "ok", False),
        ("nobody", "marked", False),
    ],
)
def test_only_a_client_that_gave_out_is_a_reason_to_run_again(limited_by: str, state: str, again: bool) -> None:
    assert gave_out(a_result(limited_by, state)) is again


def test_the_record_of_the_last_attempt_names_those_before_and_their_time_is_the_trials() -> None:
    earlier = [
        a_result("client cpu", clients=1, elapsed_s=4.0, started="2026-01-01T00:00:00.000Z"),
        a_result("client cpu", clients=2, elapsed_s=5.0, started="2026-01-01T00:00:04.000Z"),
    ]
    last = trial_result(clients=3, elapsed_s=6.0, overhead_s=1.0, client=client_report())
    made = with_attempts(last, earlier)
    assert [(attempt.clients, attempt.reason) for attempt in made.attempts] == [(1, "a reason"), (2, "a reason")]
    assert (made.clients, made.elapsed_s, made.overhead_s) == (3, 15.0, 10.0)
    assert made.started == earlier[0].started
    assert TrialResult.model_validate_json(made.model_dump_json()) == made


def test_a_trial_that_needed_one_attempt_is_stored_as_it_is() -> None:
    result = trial_result()
    assert with_attempts(result, []) is result


def test_with_nothing_left_to_add_the_verdict_says_so() -> None:
    made = with_nothing_left(a_result("client cpu"), 1)
    assert made.verdict is not None
    assert made.verdict.evidence == "some evidence; the client's CPU has a process already, so none was added"
