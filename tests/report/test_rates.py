"""Several rates in one window: what each brought, as a table, a chart and a file."""

import json
from pathlib import Path
from typing import Any

from harness.analysis.frames import parts_frame
from harness.analysis.study import Study, make_study
from harness.histogram import index_of
from harness.report import make_report
from harness.report.rates import rates_chart, rates_section
from tests.tools.synthetic import Shape, make_run

RATES = (1_000, 2_000, 4_000)
P50_US = {1_000: 200, 2_000: 300, 4_000: 9_000}


def with_phases(run: Path, timed_out_at: int | None = None) -> Path:
    """Give every stored trial three parts of its window, half a second each."""
    for path in run.glob("trials/*/trial.json"):
        record = json.loads(path.read_text())
        record["client"]["phases"] = [phase(at, rate, timed_out_at == rate) for at, rate in enumerate(RATES)]
        path.write_text(json.dumps(record))
    return run


def phase(at: int, rate: int, timed_out: bool) -> dict[str, Any]:
    requests = rate // 2
    late = requests // 10 if timed_out else 0
    histogram = {str(index_of(P50_US[rate] * 1_000)): requests - late}
    return {
        "from_ns": at * 500_000_000,
        "to_ns": (at + 1) * 500_000_000,
        "rate_per_s": rate,
        "intended": requests,
        "sent": requests,
        "ok": requests - late,
        "errors": {"timeout": late} if late else {},
        "completed": requests - late,
        "histograms": {"response": histogram, "service": histogram, "send_lag": {str(index_of(50_000)): requests}},
    }


def study(tmp_path: Path, **changes: Any) -> Study:
    run = make_run(tmp_path / "run", Shape({"model": ("ppc", "reactor")}, kind="open"))
    return make_study(with_phases(run, **changes))


def test_the_table_has_a_row_for_every_part_of_every_point(tmp_path: Path) -> None:
    section = rates_section(study(tmp_path))
    assert section is not None
    assert section.table is not None
    rows = [[cell.text for cell in row] for row in section.table.rows]
    assert [row[:3] for row in rows] == [
        [model, f"{rate:,}/s", f"{rate:,}/s"] for model in ("ppc", "reactor") for rate in RATES
    ]
    assert rows[2][4] == "9 ms"


def test_a_percentile_among_the_timed_out_is_at_least_the_timeout(tmp_path: Path) -> None:
    section = rates_section(study(tmp_path, timed_out_at=4_000))
    assert section is not None
    assert section.table is not None
    last = [cell.text for cell in section.table.rows[-1]]
    assert last[3] == "10 %"
    assert last[5].startswith("≥ ")


def test_the_chart_has_the_rates_along_x(tmp_path: Path) -> None:
    chart = rates_chart(study(tmp_path))
    assert chart is not None
    assert [mean["x"] for mean in chart.panels[0].means] == [*RATES, *RATES]


def test_the_file_has_a_row_for_every_trial_and_part(tmp_path: Path) -> None:
    frame = parts_frame(study(tmp_path))
    assert len(frame) == 2 * 3 * len(RATES)
    assert sorted(set(frame["offered_rps"])) == list(RATES)


def test_the_report_holds_them_all(tmp_path: Path) -> None:
    run = with_phases(make_run(tmp_path / "run", Shape({"model": ("ppc", "reactor")}, kind="open")))
    make_report(run)
    assert "## Rate by rate" in (run / "report" / "report.md").read_text()
    assert (run / "report" / "phases.csv").read_text().startswith("id,point,repeat,model,state,part,offered_rps")
    assert (run / "report" / "charts" / "response_by_rate.svg").is_file()


def test_one_rate_makes_neither_table_nor_chart_nor_file(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Shape({"model": ("ppc",)}, kind="open"))
    make_report(run)
    made = make_study(run)
    assert (rates_section(made), rates_chart(made)) == (None, None)
    assert not (run / "report" / "phases.csv").exists()
