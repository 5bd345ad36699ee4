"""Trials with faults on a schedule, from the spec to the record and the report: on this machine, in both runtimes."""

from pathlib import Path
from typing import Any

import pytest

from harness import store
from harness.raw import TimedFaultReport
from harness.result import TrialResult
from tests.run.conftest import Command
from tests.run.conftest import harness as harness  # noqa: PLC0414 - a fixture

SPEC = """\
version: 1
title: What does a fault take with it?
base:
  model: reactor
  servers: 2
  balancer: haproxy-tcp
  balancing: {{interval: 100 ms, fall: 2, rise: 1, check: http}}
  load: {{kind: open, rate: 100/s, connections: 8, lifetime: 20, warmup: 100 ms, window: 3 s, timeout: 400 ms}}
  faults:
    - {faults}
repeats: 1
"""
ONE = """\
version: 1
title: What does a fault take with it?
base:
  model: {model}
  load: {{connections: 4, warmup: 100 ms, window: 1200 ms, timeout: 400 ms}}
  faults: [{faults}]
repeats: 1
"""

TWO = "servers: 2\n  balancer: direct\n  model:"

pytestmark = pytest.mark.slow


def run(harness: Command, folder: Path, text: str, runtime: str = "process") -> TrialResult:
    spec = folder / "faults.yaml"
    spec.write_text(text)
    done = harness("run", spec, "--runtime", runtime, "--results", folder / "results")
    assert done.returncode == 0, done.stderr
    (trial,) = store.read_trials(folder / "results" / "faults" / "latest")
    return trial


def only(trial: TrialResult) -> TimedFaultReport:
    (fault,) = trial.faults
    return fault


def excused(trial: TrialResult) -> set[str]:
    return {check.name for check in trial.checks if "a fault was asked for" in check.detail}


@pytest.mark.parametrize(
    ("do", "runtime"),
    [("freeze-server", "process"), pytest.param("kill-server", "docker", marks=pytest.mark.docker)],
)
def test_the_balancer_notices_and_the_server_comes_back(
    tmp_path: Path, harness: Command, runtime: str, do: str
) -> None:
    asked = f"{{at: 700 ms, do: {do}, server: 2, lasts: 1 s}}"
    trial = run(harness, tmp_path, SPEC.format(faults=asked), runtime)
    assert trial.state != "failed", trial.reason
    fault, client = only(trial), trial.client
    assert client is not None
    assert (fault.do, fault.server, fault.host, fault.outcome) == (do, 2, "local", "done")
    assert fault.planned_ns == client.window_start_ns + 700_000_000
    assert fault.began_ns is not None
    assert fault.began_ns >= fault.planned_ns
    assert fault.undone_ns is not None
    assert trial.balancer is not None
    events = [(event.server, event.state) for event in trial.balancer.events]
    assert events[0] == ("server-2", "down")
    assert ("server-2", "up") in events
    assert "server-count" in excused(trial)
    lost = do == "kill-server"
    assert set(trial.servers) == ({"server-1"} if lost else {"server-1", "server-2"})
    assert any("was started again in the trial" in note for note in trial.notes) is lost
    report = (tmp_path / "results" / "faults" / "latest" / "report" / "report.md").read_text()
    assert "charts/timeline.svg" in report
    assert f"{do}, server 2" in report


def test_at_the_end_what_is_frozen_is_thawed_and_what_is_dead_stays_so_and_neither_fails_the_trial(
    tmp_path: Path, harness: Command
) -> None:
    asked = "{at: 500 ms, do: freeze-server, server: 1}, {at: 400 ms, do: kill-server, server: 2}"
    trial = run(harness, tmp_path, ONE.format(model="reactor", faults=asked).replace("model:", TWO))
    assert trial.state != "failed", trial.reason
    client = trial.client
    assert client is not None
    assert client.errors["timeout"] > 0
    assert client.errors["refused"] > 0
    frozen, dead = trial.faults
    assert frozen.undone_ns is not None
    assert frozen.undone_ns > client.window_end_ns
    assert dead.undone_ns is None
    assert set(trial.servers) == {"server-1"}
    assert any("ended with status -9" in note for note in trial.notes)
    assert trial.verdict is not None
    assert trial.verdict.limited_by == "fault"


def test_a_crashed_handler_costs_its_own_worker_only_and_the_counts_agree(tmp_path: Path, harness: Command) -> None:
    trial = run(harness, tmp_path, ONE.format(model="prefork", faults="{at: 700 ms, do: crash-handler}"))
    assert trial.state != "failed", trial.reason
    assert only(trial).outcome == "done", only(trial).detail
    client, server = trial.client, trial.servers["server"]
    assert client is not None
    assert client.connections_lost == 0
    assert server.forks == 32 + 1
    (counts,) = (check for check in trial.checks if check.name == "server-count")
    said: list[Any] = [int(word) for word in counts.detail.replace(",", " ").split() if word.isdigit()]
    assert said[0] == said[1], counts.detail  # what the server counted, less proofs and the fault's own: the client's


@pytest.mark.parametrize("do", ["kill-host", "delay, delay: 1 ms"])
def test_a_fault_of_this_machine_itself_is_refused_before_anything_runs(
    tmp_path: Path, harness: Command, do: str
) -> None:
    spec = tmp_path / "faults.yaml"
    spec.write_text(ONE.format(model="reactor", faults=f"{{at: 700 ms, do: {do}}}"))
    done = harness("run", spec, "--runtime", "process", "--results", tmp_path / "results")
    assert done.returncode == 3
    assert f"faults: local: `{do.partition(',')[0]}`: it would act on this machine itself" in done.stderr
    assert not (tmp_path / "results").exists()
