"""The panel of costs: which columns, which rows, and what is said beside it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analysis.study import Study, make_study
from harness.report import make_report
from harness.report.doubts import general_doubts, interpreter_note
from harness.report.why import COLUMNS, why_definitions, why_table
from harness.spec.metrics import METRICS, SUMMARY_METRICS
from tests.tools.synthetic import Shape, make_run

StudyOf = Callable[[Shape], Study]
MODELS = ("ppc", "tpc", "reactor")


def column(study: Study, head: str) -> list[str]:
    """The cells of a column of the panel, by row."""
    table = why_table(study)
    assert table is not None
    at = [each.title for each in table.columns].index(head)
    return [row[at].text for row in table.rows]


def heads(study: Study) -> set[str]:
    table = why_table(study)
    return {each.title for each in table.columns} if table else set()


def test_every_cost_that_can_be_shown_is_in_the_summary_too() -> None:
    assert set(COLUMNS) <= set(SUMMARY_METRICS) <= set(METRICS)


def test_a_process_per_connection_forks_once_for_each_and_a_thread_per_connection_makes_a_thread(
    study_of: StudyOf,
) -> None:
    study = study_of(Shape({"model": MODELS, "load.lifetime": ("per-request",)}))
    assert column(study, "Forks / connection") == ["1", "0", "0"]
    assert column(study, "Threads made / connection") == ["0", "1", "0"]
    assert column(study, "Page faults / connection")[0] == "440"
    assert "Memory / connection" not in heads(study)


def test_with_kept_connections_their_memory_is_shown_and_no_cost_of_making_them(study_of: StudyOf) -> None:
    study = study_of(Shape({"model": MODELS, "load.connections": ("64",)}))
    assert column(study, "Memory / connection") == ["1.43 MiB", "121 KiB", "7.41 KiB"]
    assert {head for head in heads(study) if head.endswith("/ connection")} == {"Memory / connection"}


def test_columns_of_nothing_but_zeros_are_left_out(study_of: StudyOf) -> None:
    study = study_of(Shape({"model": ("ppc", "reactor"), "load.lifetime": ("per-request",)}))
    assert "Forks / connection" in heads(study)
    assert not heads(study) & {"Threads made / connection", "Major faults / request", "Connections lost"}


def test_a_point_without_a_run_that_counts_has_no_row(study_of: StudyOf) -> None:
    shape = Shape({"model": ("a", "b")}, repeats=1, states={"model-a.r1": "failed"})
    table = why_table(study_of(shape))
    assert table is not None
    assert [row[0].text for row in table.rows] == ["b"]


@pytest.mark.slow
@pytest.mark.parametrize("state", ["failed", "missing", "invalid"])
def test_without_any_cost_there_is_no_panel(tmp_path: Path, state: str) -> None:
    run = make_run(tmp_path / "run", Shape({}, repeats=1, states={"base.r1": state}))
    assert why_table(make_study(run)) is None
    page = make_report(run).index
    assert 'id="why"' not in page.read_text()
    assert "a connection cost" not in (page.parent / "report.md").read_text()


def test_every_column_is_defined(study_of: StudyOf) -> None:
    study = study_of(Shape({"model": MODELS}))
    table = why_table(study)
    assert table is not None
    assert {head for head, _ in why_definitions(table)} == heads(study) - {"model"}


@pytest.mark.slow
def test_both_pages_hold_the_same_costs(tmp_path: Path) -> None:
    made = make_report(make_run(tmp_path / "run", Shape({"model": MODELS, "load.connections": ("64",)})))
    page, markdown = made.index.read_text(), (made.index.parent / "report.md").read_text()
    for text in ("Why: what a request and a connection cost", "Wake-ups / request", "1.43 MiB"):
        assert text in page
        assert text in markdown


def test_the_interpreter_lock_is_named_with_its_switch_interval_for_servers_whose_threads_serve(
    study_of: StudyOf,
) -> None:
    note = interpreter_note(study_of(Shape({"model": MODELS})))
    assert note.startswith("tpc: the threads of one Python process take turns")
    assert "(switch interval 5 ms)" in note


@pytest.mark.slow
def test_the_note_stands_beside_the_costs_and_among_the_doubts(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Shape({"model": MODELS}))
    note = interpreter_note(make_study(run))
    assert note in general_doubts(make_study(run))
    assert make_report(run).index.read_text().count("the threads of one Python process") == 2


@pytest.mark.parametrize("models", [("ppc", "reactor"), ("reactor",)])
def test_processes_and_loops_share_no_interpreter(study_of: StudyOf, models: tuple[str, ...]) -> None:
    assert interpreter_note(study_of(Shape({"model": models}))) == ""


def test_a_server_in_another_language_has_no_interpreter_to_share(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Shape({"model": ("tpc",)}, repeats=1))
    record = next(run.glob("trials/*/trial.json"))
    content = json.loads(record.read_text())
    content["servers"]["server"]["python"] = None
    record.write_text(json.dumps(content))
    assert interpreter_note(make_study(run)) == ""
