"""Damaged, half-written and newer results."""

import json
from pathlib import Path

import pytest

from harness.analysis.reading import read_run
from harness.analysis.study import make_study
from harness.errors import ResultError
from harness.report import make_report
from harness.report.doubts import general_doubts
from tests.tools.synthetic import Shape, make_run

pytestmark = pytest.mark.slow

SMALL = Shape({"model": ("a", "b")}, repeats=2)


def _state(run: Path, trial: str) -> tuple[str, str | None]:
    return next((row.state, row.reason) for row in make_study(run).rows if row.planned.id == trial)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": 1}', b'{"format": "1"}', b'{"format": 1, "id": 7}'],
    ids=repr,
)
def test_a_damaged_record_is_a_doubt_and_the_rest_is_reported(tmp_path: Path, content: bytes) -> None:
    run = make_run(tmp_path / "run", SMALL)
    (run / "trials/model-a.r1/trial.json").write_bytes(content)
    state, reason = _state(run, "model-a.r1")
    assert state == "unreadable"
    assert reason is not None
    assert "damaged" in reason
    assert _state(run, "model-a.r2") == ("ok", None)


def test_a_record_of_a_newer_format_stops_the_report_with_what_to_do(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SMALL)
    path = run / "trials/model-a.r1/trial.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2, "new_field": 1}))
    with pytest.raises(
        ResultError, match=r"trial\.json: written in format 2, and this version reads format 1; make the report with"
    ):
        make_report(run)
    assert not (run / "report").exists()


def test_a_trial_that_was_begun_is_told_from_one_that_was_not(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Shape({}, repeats=2, states={"base.r1": "missing", "base.r2": "missing"}))
    (run / "trials/base.r1/logs").mkdir(parents=True)
    assert _state(run, "base.r1") == ("missing", "it was begun and did not finish")
    assert _state(run, "base.r2") == ("missing", "it was not run")


def test_a_record_in_another_trials_folder_is_not_taken_for_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SMALL)
    (run / "trials/model-a.r1/trial.json").write_bytes((run / "trials/model-b.r1/trial.json").read_bytes())
    state, reason = _state(run, "model-a.r1")
    assert (state, reason) == ("unreadable", "its trial.json is that of another trial, model-b.r1")


def test_folders_that_the_plan_does_not_hold_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SMALL)
    (run / "trials/left-over.r1").mkdir()
    assert read_run(run).strays == ("left-over.r1",)
    make_report(run)
    assert "left-over.r1" in (run / "report/index.html").read_text()


@pytest.mark.parametrize("name", ["environment.json", "spec.yaml", "trials"])
def test_a_run_without_one_of_its_parts_has_a_report_all_the_same(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "run", Shape({}, repeats=1, states={"base.r1": "missing"} if name == "trials" else {}))
    if name != "trials":
        (run / name).unlink()
    assert make_report(run).index.is_file()


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff"], ids=repr)
def test_a_damaged_environment_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    run = make_run(tmp_path / "run", Shape({}, repeats=1))
    (run / "environment.json").write_bytes(content)
    make_report(run)
    assert "environment.json is damaged" in (run / "report/report.md").read_text()


def test_a_folder_without_a_plan_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"plan\.json: cannot be read"):
        make_report(tmp_path)


def test_walls_and_changes_of_the_checkout_and_trouble_in_cleaning_up_are_doubts(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Shape(repeats=1))
    environment = json.loads((run / "environment.json").read_text())
    environment |= {"git": {"commit": "0123456789abcdef", "dirty": True}, "walls": ["net.core.somaxconn is 128"]}
    (run / "environment.json").write_text(json.dumps(environment))
    record = next(run.glob("trials/*/trial.json"))
    record.write_text(json.dumps({**json.loads(record.read_text()), "notes": ["server could not be removed: busy"]}))
    said = "\n".join(general_doubts(make_study(run)))
    assert "changes that are not in the commit" in said
    assert "net.core.somaxconn is 128" in said
    assert f"{record.parent.name}: server could not be removed: busy" in said
