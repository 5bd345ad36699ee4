"""The section of the report about faults on a schedule, and its chart, from runs made up for it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.study import Study, make_study
from harness.report import make_report
from harness.report.answer import make_answer
from harness.report.timeline import timeline_chart, timeline_section
from tests.report.test_browser import _open
from tests.report.test_browser import browser as browser  # noqa: PLC0414 - a fixture
from tests.tools.synthetic import Shape, make_run

START_NS = 2 * 10**9  # of the window
FAULT = {"at": "500 ms", "do": "kill-server", "server": 2, "lasts": "1 s"}
SHAPE = {"servers": 2, "balancer": "haproxy-tcp", "faults": [FAULT], "load": {"timeout": "300 ms"}}

StudyOf = Callable[..., Study]


def broken_run(folder: Path, back: bool = True, shape: Shape | None = None) -> Path:
    """Two models, three runs each of 2 s: 200 ms after the kill all is well again, with ppc, and with tpc if it is to be."""
    run = make_run(folder, shape or Shape({"model": ("ppc", "tpc")}, repeats=3, kind="open", base=SHAPE))
    for path in sorted(run.glob("trials/*/trial.json")):
        trial = json.loads(path.read_text())
        slow = trial["factors"]["model"] == "tpc"
        trial["faults"] = [fault_report(0.5), *([fault_report(1.2, None)] if len(trial["trial"]["faults"]) > 1 else [])]
        lasting = slow and not back
        trial["client"] |= {
            "per_100ms": [50] * 5 + ([30] * 15 if lasting else [30, 40] + [50] * 13),
            "errors_per_100ms": [0] * 5 + [20, 10] + [0] * 13,
        }
        path.write_text(json.dumps(trial))
    return run


def fault_report(at_s: float, undone_s: float | None = 1.5) -> dict[str, Any]:
    began_ns = START_NS + round(at_s * 1e9)
    return {
        "do": "kill-server", "server": 2, "host": "local", "planned_ns": began_ns, "began_ns": began_ns, "done_ns": began_ns,
        "undone_ns": None if undone_s is None else START_NS + round(undone_s * 1e9), "outcome": "done",
    }  # fmt: skip


@pytest.fixture
def study_of(tmp_path: Path) -> StudyOf:
    return lambda **said: make_study(broken_run(tmp_path / "run", **said))


def cells(study: Study) -> list[list[str]]:
    section = timeline_section(study)
    assert section is not None
    assert section.table is not None
    return [[cell.text for cell in row] for row in section.table.rows]


def test_each_point_s_faults_have_a_row_with_their_times(study_of: StudyOf) -> None:
    assert cells(study_of()) == [
        ["ppc", "kill-server, server 2", "0.5 s", "0.1 s", "–", "0.2 s", "30"],
        ["tpc", "kill-server, server 2", "0.5 s", "0.1 s", "–", "0.2 s", "30"],
    ]


def test_what_did_not_come_back_is_said_and_not_left_empty(study_of: StudyOf) -> None:
    rows = cells(study_of(back=False))
    assert [row[5] for row in rows] == ["0.2 s", "not within the window"]


def test_the_chart_has_both_lines_and_the_fault_from_its_act_to_its_end(study_of: StudyOf) -> None:
    chart = timeline_chart(study_of())
    assert chart is not None
    assert [panel.title for panel in chart.panels] == ["ppc", "tpc"]
    panel = chart.panels[0]
    assert panel.acts == ({"x": 0.5, "x2": 1.5, "label": "kill-server, server 2"},)
    lines = {side: [dot["y"] for dot in panel.line if dot["side"] == side] for side in chart.sides}
    assert lines["answered"][4:8] == [500, 300, 400, 500]
    assert lines["failed"][4:8] == [0, 200, 100, 0]
    assert panel.line[0]["x"] == 0.05  # the middle of its slice


def test_what_is_not_undone_is_shaded_to_the_window_s_end(study_of: StudyOf) -> None:
    twice = {**SHAPE, "faults": [FAULT, {"at": "1200 ms", "do": "kill-server"}]}
    chart = timeline_chart(study_of(shape=Shape({"model": ("ppc",)}, repeats=1, kind="open", base=twice)))
    assert chart is not None
    assert [(act["x"], act["x2"]) for act in chart.panels[0].acts] == [(0.5, 1.5), (1.2, 2.0)]


def test_a_run_without_faults_has_neither(tmp_path: Path) -> None:
    study = make_study(make_run(tmp_path / "run", Shape({"model": ("ppc",)}, repeats=1)))
    assert timeline_section(study) is None
    assert timeline_chart(study) is None


@pytest.mark.parametrize(("back", "metric"), [(True, "time to recover"), (False, "failed")])
def test_the_report_opens_with_the_time_to_recover_or_with_what_failed_where_not_all_did(
    study_of: StudyOf, back: bool, metric: str
) -> None:
    assert metric in make_answer(study_of(back=back)).headline


@pytest.mark.slow
def test_page_and_markdown_have_the_section_and_made_again_the_same_bytes(tmp_path: Path) -> None:
    run = broken_run(tmp_path / "run")
    folder = make_report(run).index.parent
    names = ("index.html", "report.md", "charts/timeline.svg")
    first = [(folder / name).read_bytes() for name in names]
    assert b'id="faults"' in first[0]
    assert b"(charts/timeline.svg)" in first[1]
    assert b"kill-server, server 2" in first[2]
    make_report(run)
    assert [(folder / name).read_bytes() for name in names] == first


@pytest.mark.slow
@pytest.mark.browser
def test_a_browser_draws_the_timeline(browser: Any, tmp_path: Path) -> None:
    index = make_report(broken_run(tmp_path / "run")).index
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    seen = _open(page, index)
    assert seen.console == []
    assert page.locator("#plot-timeline-0 svg").count() == 1
    assert "kill-server, server 2" in page.locator("#plot-timeline-0").inner_text()
