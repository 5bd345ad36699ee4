"""A mix of requests in the report: each kind by itself, over the runs that count."""

import json
from pathlib import Path
from typing import Any

from harness.analysis.study import make_study
from harness.histogram import index_of
from harness.report import make_report
from harness.report.kinds import kinds_section
from tests.tools.synthetic import Shape, make_run

MIX = [{"weight": 3.0, "path": "/a"}, {"weight": 1.0, "path": "/b"}]


def share(requests: int, ms: float, late: int = 0) -> dict[str, Any]:
    errors = {"timeout": late} if late else {}
    answered = {str(index_of(round(ms * 1e6))): requests - late}
    return {"intended": requests, "ok": requests - late, "errors": errors, "response": answered}


def with_mix(run: Path, invalid: str = "") -> Path:
    plan = json.loads((run / "plan.json").read_text())
    for planned in plan["trials"]:
        planned["trial"]["request"]["mix"] = MIX
    (run / "plan.json").write_text(json.dumps(plan))
    for path in run.glob("trials/*/trial.json"):
        record = json.loads(path.read_text())
        record["client"]["mix"] = [share(3_000, 2), share(1_000, 40, late=100)]
        record["state"] = "invalid" if path.parent.name == invalid else record["state"]
        path.write_text(json.dumps(record))
    return run


def rows_of(run: Path) -> list[list[str]]:
    section = kinds_section(make_study(run))
    assert section is not None
    assert section.table is not None
    return [[cell.text for cell in row] for row in section.table.rows]


def test_each_kind_has_its_requests_errors_and_times(tmp_path: Path) -> None:
    run = with_mix(make_run(tmp_path / "run", Shape({"model": ("ppc", "reactor")}, repeats=3)))
    first, second = rows_of(run)[:2]
    assert first == ["ppc", "GET /a", "9,000", "0 %", "2 ms", "2 ms"]
    assert second[:5] == ["ppc", "GET /b", "3,000", "10 %", "40 ms"]
    assert second[5].startswith("≥")


def test_runs_that_are_invalid_are_left_out(tmp_path: Path) -> None:
    shape = Shape({"model": ("ppc", "reactor")}, repeats=3)
    rows = rows_of(with_mix(make_run(tmp_path / "run", shape), invalid="model-ppc.r1"))
    assert [row[2] for row in rows] == ["6,000", "2,000", "9,000", "3,000"]


def test_both_pages_have_it_and_only_where_there_is_a_mix(tmp_path: Path) -> None:
    plain = make_run(tmp_path / "plain", Shape({"model": ("ppc", "reactor")}, repeats=3))
    assert kinds_section(make_study(plain)) is None
    run = with_mix(make_run(tmp_path / "run", Shape({"model": ("ppc", "reactor")}, repeats=3)))
    make_report(run)
    for page in ("report.md", "index.html"):
        assert "Kind by kind" in (run / "report" / page).read_text()
