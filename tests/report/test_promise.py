"""An SLO that a spec asks of an open load: each run is held against it, and the report says how many met it."""

import json
from pathlib import Path

from harness.analysis.study import make_study
from harness.report import make_report
from harness.report.promise import promise_section
from tests.tools.synthetic import Shape, make_run


def with_slo(run: Path, **slo: str) -> Path:
    """Ask an SLO of every trial of a stored run, in its plan."""
    path = run / "plan.json"
    plan = json.loads(path.read_text())
    for planned in plan["trials"]:
        planned["trial"]["slo"] = slo
    path.write_text(json.dumps(plan))
    return run


def a_run(tmp_path: Path, kind: str = "open") -> Path:
    return make_run(tmp_path / "run", Shape({"model": ("ppc", "reactor")}, kind=kind, repeats=3))


def rows_of(run: Path) -> list[list[str]]:
    section = promise_section(make_study(run))
    assert section is not None
    assert section.table is not None
    return [[cell.text for cell in row] for row in section.table.rows]


def test_runs_that_met_the_slo_are_counted_with_what_was_asked(tmp_path: Path) -> None:
    rows = rows_of(with_slo(a_run(tmp_path), p50="1 min"))
    assert [row[:3] for row in rows] == [
        [model, "p50 at most 1 min, no errors", "3 of 3"] for model in ("ppc", "reactor")
    ]
    assert all("at most 1 min" in row[3] for row in rows)


def test_a_miss_is_told_with_its_numbers(tmp_path: Path) -> None:
    rows = rows_of(with_slo(a_run(tmp_path), p50="1 us", errors="5 %"))
    assert [row[1:3] for row in rows] == [["p50 at most 1 us, errors at most 5 %", "0 of 3"]] * 2
    assert all(row[3].startswith("p50 ") for row in rows)


def test_invalid_runs_count_for_nothing(tmp_path: Path) -> None:
    run = with_slo(a_run(tmp_path), p50="1 min")
    path = run / "trials" / "model-ppc.r1" / "trial.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "invalid"}))
    assert [row[2] for row in rows_of(run)] == ["2 of 2", "3 of 3"]


def test_both_pages_have_it(tmp_path: Path) -> None:
    run = with_slo(a_run(tmp_path), p50="1 min")
    make_report(run)
    for page in ("report.md", "index.html"):
        assert "The SLO: was it met?" in (run / "report" / page).read_text()


def test_without_an_slo_there_is_no_such_part(tmp_path: Path) -> None:
    assert promise_section(make_study(a_run(tmp_path))) is None
