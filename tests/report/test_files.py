"""The report folder: whole, reproducible, escaped, within its bounds."""

import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from harness.report import make_report
from harness.report.markdown import escape
from harness.report.page import script_safe
from harness.report.svg import with_fixed_ids
from tests.tools.synthetic import Shape, make_run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SMALL = Shape({"model": ("ppc", "reactor"), "load.connections": ("1", "32")}, repeats=3)
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "\"quoted\" 'single' `tick`",
    "naïve ☃ \u202e rtl \u2028",
    "a|b\\*c*_d_[x](http://example.org)",
)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_folder_holds_what_was_promised(tmp_path: Path) -> None:
    index = make_report(make_run(tmp_path / "run", SMALL)).index
    names = set(_digests(index.parent))
    assert {"index.html", "report.md", "trials.parquet", "summary.csv"} < names
    assert {"charts/throughput_rps.svg", "charts/response_p99_us.svg", "charts/littles_law.svg"} < names


def test_every_chart_that_the_markdown_names_is_there_and_is_svg(tmp_path: Path) -> None:
    folder = make_report(make_run(tmp_path / "run", SMALL)).index.parent
    named = re.findall(r"\]\((charts/\w+\.svg)\)", (folder / "report.md").read_text())
    assert len(named) == len(list((folder / "charts").iterdir()))
    for name in named:
        assert ET.parse(folder / name).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_made_again_in_one_process_it_is_the_same_bytes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SMALL)
    first = _digests(make_report(run).index.parent)
    assert _digests(make_report(run).index.parent) == first


@pytest.mark.slow
def test_made_again_in_other_processes_and_another_place_it_is_the_same_bytes(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SMALL)
    copy = shutil.copytree(run, tmp_path / "else" / "where" / "other-name")
    code = "import sys, pathlib; from harness.report import make_report; make_report(pathlib.Path(sys.argv[1]))"
    for folder, seed, zone in ((run, "1", "UTC"), (copy, "2", "Asia/Tokyo")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"}
        subprocess.run([sys.executable, "-c", code, str(folder)], check=True, cwd=ROOT, env=environment, timeout=100)
    assert _digests(run / "report") == _digests(copy / "report")


def test_the_report_holds_no_path_of_the_machine(tmp_path: Path) -> None:
    folder = make_report(make_run(tmp_path / "run", SMALL)).index.parent
    for path in folder.rglob("*.*"):
        assert str(tmp_path).encode() not in path.read_bytes()


def test_an_older_report_is_replaced_as_a_whole(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SMALL)
    (run / "report").mkdir()
    (run / "report/stale.svg").write_text("old")
    make_report(run)
    assert not (run / "report/stale.svg").exists()
    assert sorted(path.name for path in run.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize("label", HOSTILE, ids=range(len(HOSTILE)))
def test_markup_in_labels_titles_and_reasons_stays_text(tmp_path: Path, label: str) -> None:
    point = "".join(c if c.isascii() and c.isalnum() else "_" for c in label)
    trial = f"model-{point}.r1"
    shape = Shape({"model": (label, "b")}, repeats=1, title=label, states={trial: "marked"}, reasons={trial: label})
    run = make_run(tmp_path / "run", shape, environment={label: {label: [label, {label: label}]}})
    folder = make_report(run).index.parent
    page, markdown = (folder / "index.html").read_text(), (folder / "report.md").read_text()
    assert page.count("<script") == page.count("</script") == 3
    assert "<img" not in page.partition("</script>")[0]
    before_spec = markdown.partition("## Spec")[0]
    assert not re.search(r"(?<!\\)<", before_spec)
    assert not re.search(r"(?<!\\)\]\(http", before_spec)
    for chart in (folder / "charts").iterdir():
        names = {element.tag.rpartition("}")[2] for element in ET.parse(chart).iter()}
        assert names <= {"svg", "g", "path", "text", "line", "rect", "defs", "clipPath"}


def test_a_spec_full_of_backticks_cannot_leave_its_fence(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Shape({}, repeats=1))
    (run / "spec.yaml").write_text("a: 1\n````\n# not a heading\n")
    make_report(run)
    assert "`````yaml\na: 1\n" in (run / "report/report.md").read_text()


def test_markdown_escapes_what_markdown_reads() -> None:
    assert escape("a|b\n*c* <d>") == r"a\|b \*c\* \<d\>"


def test_the_data_block_holds_nothing_that_ends_a_script() -> None:
    assert script_safe(["</script>", "\u2028", "<!--"]) == '["\\u003c/script\\u003e","\\u2028","\\u003c!--"]'


def test_clip_ids_do_not_depend_on_what_was_drawn_before() -> None:
    drawn = '<clipPath id="clip{0}"/><g clip-path="url(#clip{0})"/><clipPath id="clip{1}"/><text>clip{0}</text>'
    assert with_fixed_ids(drawn.format(41, 42)).replace("clip41", "clip7") == with_fixed_ids(drawn.format(7, 8))


def test_the_policy_of_the_page_allows_its_own_scripts_only(tmp_path: Path) -> None:
    page = make_report(make_run(tmp_path / "run", Shape({}, repeats=1))).index.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe" not in policy[1]


def test_processes_are_named_in_a_banner_and_containers_are_not(tmp_path: Path) -> None:
    for runtime, there in (("process", True), ("docker", False)):
        page = make_report(make_run(tmp_path / runtime, Shape({}, repeats=1, runtime=runtime))).index.read_text()
        assert ("Measured as local processes, without containers." in page) is there


@pytest.mark.parametrize("state", ["failed", "missing", "void", "half-written", "invalid", "marked"])
def test_a_run_of_nothing_but_one_state_has_a_report(tmp_path: Path, state: str) -> None:
    run = make_run(tmp_path / "run", Shape({"model": ("a",)}, repeats=1, states={"model-a.r1": state}))
    assert '<h2 id="doubts">Doubts</h2>\n<p>1 ' in make_report(run).index.read_text()


def test_page_answer_and_the_terminals_table_come_of_one_reading(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", SMALL)
    made = make_report(run)
    table = made.table
    assert made.index == run / "report/index.html"
    assert made.answer.startswith("At 32 connections, reactor leads in these runs")
    assert table.columns[:4] == ("model", "connections", "Runs", "Throughput")
    assert [row[:3] for row in table.rows] == [
        ("ppc", "1", "3"),
        ("ppc", "32", "3"),
        ("reactor", "1", "3"),
        ("reactor", "32", "3"),
    ]
    assert re.fullmatch(r"[\d,]+/s \[[\d,]+–[\d,]+\]", table.rows[0][3])
    assert len(table.numeric) == len(table.columns) == len(table.rows[0])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_thousand_trials_fit_their_bounds(tmp_path: Path) -> None:
    connections = tuple(str(2**power) for power in range(10))
    models, cpu = tuple("abcde"), ("10 us", "50 us", "100 us", "1 ms")
    factors = {
        "model": models,
        "load.connections": connections,
        "load.lifetime": ("keep-alive", "per-request"),
        "handler.cpu": cpu,
    }
    run = make_run(tmp_path / "run", Shape(factors, repeats=5, requests=2_000))
    code = "import sys, pathlib; from harness.report import make_report; make_report(pathlib.Path(sys.argv[1]))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code, str(run)], check=True, cwd=ROOT, timeout=200)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    assert cpu_s <= 20  # the processor's seconds, not the clock's: other work may share the cores
    assert used.ru_maxrss <= 1024 * 1024
    assert (run / "report/index.html").stat().st_size <= 3_000_000
