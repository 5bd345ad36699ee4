"""The run folder: whole or absent, held by one process, resumable."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness import store
from harness.errors import ResultError
from harness.plan import Plan, PlannedTrial
from harness.result import Capacity, SearchStep
from harness.spec.experiment import Experiment, Trial
from tests.run.records import trial_result

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_plan(*ids: str) -> Plan:
    trials = tuple(
        PlannedTrial(id=name, point="base", repeat=n, block=n, order=n, factors={}, trial=Trial())
        for n, name in enumerate(ids, start=1)
    )
    experiment = Experiment(version=1, title="A question?")
    return Plan(name="demo", experiment=experiment, factors={}, trials=trials)


def a_run(results: Path) -> Path:
    return store.create_run(results, a_plan("base.r1", "base.r2"), b"version: 1\n", NOW)


def test_a_new_run_holds_spec_and_plan_and_latest_points_to_it(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    assert run.name == "20260102-030405"
    assert (run / "spec.yaml").read_bytes() == b"version: 1\n"
    assert store.read_plan(run) == a_plan("base.r1", "base.r2")
    assert store.find_run(tmp_path, "demo", None) == run


def test_two_runs_in_one_second_do_not_share_a_folder(tmp_path: Path) -> None:
    first, second = a_run(tmp_path), a_run(tmp_path)
    assert first != second
    assert store.find_run(tmp_path, "demo", None) == second
    assert store.runs_of(tmp_path, "demo") == [first, second]


def test_without_a_link_to_the_latest_run_the_newest_one_is_found(tmp_path: Path) -> None:
    runs = [a_run(tmp_path) for _ in range(10)]  # of one second: the tenth one's name sorts before the second one's
    assert store.runs_of(tmp_path, "demo") == runs
    (tmp_path / "demo" / "latest").unlink()
    assert store.find_run(tmp_path, "demo", None) == runs[-1]
    (tmp_path / "demo" / "latest").symlink_to("20260102-gone")
    assert store.find_run(tmp_path, "demo", None) == runs[-1]


def test_where_there_is_no_run_at_all_that_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"there are no results of demo; run it"):
        store.find_run(tmp_path, "demo", None)


def test_only_committed_trials_are_read_back(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    for name in ("base.r1", "base.r2"):
        store.begin_trial(run, name)
    store.commit_trial(run, trial_result("base.r2"))
    assert store.read_trials(run) == [trial_result("base.r2")]


def test_beginning_a_trial_again_removes_what_an_interrupted_attempt_left(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    (store.begin_trial(run, "base.r1") / "clients" / "0.json").write_text("half")
    assert list(store.begin_trial(run, "base.r1").glob("clients/*")) == []


def test_a_second_process_cannot_take_a_held_run(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    script = (
        "import sys; from pathlib import Path; from harness import store; from harness.errors import ResultError\n"
        "try:\n  with store.locked(Path(sys.argv[1])): print('held')\n"
        "except ResultError as error: print('refused', error)"
    )
    command = [sys.executable, "-c", script, str(run)]
    with store.locked(run):
        refused = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert refused.stdout.startswith("refused")
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout == "held\n"


@pytest.mark.parametrize("content", ["", "{", '{"format": 2}', "[]", '{"format": 1, "id": "x"}'])
def test_a_broken_or_newer_record_is_one_clear_error(tmp_path: Path, content: str) -> None:
    run = a_run(tmp_path)
    path = store.begin_trial(run, "base.r1") / "trial.json"
    path.write_text(content)
    with pytest.raises(ResultError, match=r"trial\.json: not a TrialResult"):
        store.read_trial(path)


@pytest.mark.parametrize(
    ("low", "high"), [("-5", "9"), ("0", "9"), ("5", "1e999"), ("NaN", "9"), ("9", "5"), ("5", "5"), ("null", "-1")]
)
def test_a_capacity_that_no_search_can_find_is_a_broken_record(tmp_path: Path, low: str, high: str) -> None:
    run = a_run(tmp_path)
    found = Capacity(low_rps=3.25, high_rps=7.75, ended="found", steps=(), life_ok=0, life_unknown=0)
    store.begin_trial(run, "base.r1")
    store.commit_trial(run, trial_result("base.r1", capacity=found))
    path = store.record_path(run, "base.r1")
    assert store.read_trial(path).capacity == found
    path.write_text(path.read_text().replace("3.25", low).replace("7.75", high))
    with pytest.raises(ResultError, match=r"trial\.json: not a TrialResult that this version reads: capacity"):
        store.read_trial(path)


@pytest.mark.parametrize("rate", ["0", "-5", "1e999", "NaN"])
def test_a_search_step_at_a_rate_that_is_none_is_a_broken_record(tmp_path: Path, rate: str) -> None:
    run = a_run(tmp_path)
    step = SearchStep(
        rate_rps=3.25,
        window_s=1.0,
        purpose="double",
        met=True,
        why="",
        throughput_rps=3.0,
        errors=0.0,
        percentiles_us={},
        limited_by="nobody",
    )
    found = Capacity(low_rps=2.0, high_rps=4.0, ended="found", steps=(step,), life_ok=0, life_unknown=0)
    store.begin_trial(run, "base.r1")
    store.commit_trial(run, trial_result("base.r1", capacity=found))
    path = store.record_path(run, "base.r1")
    assert store.read_trial(path).capacity == found
    path.write_text(path.read_text().replace("3.25", rate))
    with pytest.raises(ResultError, match=r"capacity\.steps\.0\.rate_rps"):
        store.read_trial(path)


@pytest.mark.parametrize("run_id", ["../demo", "a/b", "nosuch", ".."])
def test_a_run_id_cannot_leave_the_experiment(tmp_path: Path, run_id: str) -> None:
    a_run(tmp_path)
    with pytest.raises(ResultError):
        store.find_run(tmp_path, "demo", run_id)


def test_an_interrupted_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    store.write_atomically(path, b"old")
    os.mkdir(tmp_path / ".file.json.tmp")  # noqa: PTH102 - the temporary file cannot be opened
    with pytest.raises(OSError):
        store.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_samples_come_back_from_parquet_as_they_were(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    samples: list[dict[str, int | None]] = [
        {"at_ns": 1, "memory_bytes": None, "threads": 3},
        {"at_ns": 2, "memory_bytes": 10, "threads": 4},
    ]
    store.write_samples(tmp_path / "server.parquet", samples)
    assert pq.read_table(tmp_path / "server.parquet").to_pylist() == samples
