"""`harness load` against a server whose behaviour is known."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.load.conftest import Loading, Serving

pytestmark = pytest.mark.slow


def test_the_exit_status_says_whether_the_slo_was_met(serving: Serving, loading: Loading) -> None:
    """On a busy machine the client may have given out: then it cannot be told, which is not met either."""
    with serving(delay_s=0.05) as url:
        open_load = (url, "--rate", "200/s", "--connections", 50, "--window", "6s")
        good, summary = loading(*open_load, "--slo", "p99<4s,errors<1%")
        assert summary["slo_met"] is not False, summary["slo"]
        assert good == (0 if summary["slo_met"] else 1)
        bad, summary = loading(*open_load, "--slo", "p50<20ms")
        assert summary["slo_met"] is not True, summary["slo"]
        assert bad == 1


def test_an_slo_that_cannot_be_told_is_not_met(serving: Serving, loading: Loading) -> None:
    with serving() as url:
        status, summary = loading(url, "--rate", "100/s", "--window", "1s", "--slo", "p99.9<1s")
    assert (status, summary["slo_met"]) == (1, None)


def test_wrong_answers_count_against_the_errors_of_an_slo(serving: Serving, loading: Loading) -> None:
    with serving(missing="/gone") as url:
        mix = ("--mix", "9 GET /there", "--mix", "1 GET /gone")
        status, summary = loading(url, "--rate", "500/s", "--window", "3s", *mix, "--slo", "p50<1s,errors<1%")
    assert status == 1
    assert summary["slo_met"] is not True
    there, gone = summary["mix"]
    assert (there["request"], there["errors"]) == ("GET /there", {})
    assert gone["errors"] == {"status": gone["requests"]}
    assert there["requests"] + gone["requests"] == summary["requests"] == 1_500
    assert 0.05 < gone["requests"] / 1_500 < 0.15


def test_a_staircase_is_told_step_by_step(serving: Serving, loading: Loading) -> None:
    with serving() as url:
        status, summary = loading(url, "--rate", "100/s,200/s,400/s", "--window", "3s")
    assert status == 0
    assert [phase["requests"] for phase in summary["phases"]] == [100, 200, 400]
    assert summary["requests"] == 700


def test_the_histograms_are_written_for_other_tools(serving: Serving, loading: Loading, tmp_path: Path) -> None:
    with serving() as url:
        loading(url, "--window", "500ms", "--connections", 2, "--hdr", tmp_path / "load.hlog")
    text = (tmp_path / "load.hlog").read_text()
    assert text.startswith("#[Histogram log format version 1.2]")
    assert "\nTag=response,0.000,0.500," in text


def test_a_person_sees_the_rate_the_times_and_their_histogram(
    serving: Serving, command: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    with serving(delay_s=0.01) as url:
        done = command(url, "--window", "1s", "--connections", 4)
    assert done.returncode == 0, done.stderr
    for part in ("throughput ", "response time  p50 ", "(at saturation: a closed loop)", "state ", "█", "up to it"):
        assert part in done.stdout, done.stdout


def test_connections_that_come_while_others_are_held_are_told(serving: Serving, loading: Loading) -> None:
    with serving() as url:
        hold = ("--hold", "--connections", 20, "--rate", "50/s", "--growth", "20/s")
        status, summary = loading(url, *hold, "--window", "2s")
    growth = summary["growth"]
    assert status == 0
    assert growth["begun"] == growth["served"]
    assert 20 + growth["served"] - growth["held"] in (0, 1)  # the last one may be answered after the window
    assert growth["first_failed_at"] is None


def test_a_file_that_cannot_be_written_is_one_line(
    serving: Serving, command: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    with serving() as url:
        done = command(url, "--window", "200ms", "--hdr", tmp_path / "no" / "such" / "folder.hlog")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert str(tmp_path) in done.stderr


def test_a_search_finds_what_connections_and_a_known_delay_allow(serving: Serving, loading: Loading) -> None:
    with serving(delay_s=0.01) as url:
        search = ("--capacity", "--slo", "p50<200ms", "--rate", "400/s", "--resolution", "50%")
        status, summary = loading(url, "--connections", 10, *search, "--window", "1s", "--confirmation", "2s")
    found = summary["capacity"]
    assert status == (0 if found["low_rps"] else 1)
    assert len(found["steps"]) >= 3
    assert found["low_rps"] is None or found["low_rps"] <= 1_000 * 1.25  # 10 ÷ 10 ms, and what a short window hides
    assert found["steps"][-1]["purpose"] == "confirm" or found["ended"] != "found"
