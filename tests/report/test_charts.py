"""What is drawn where."""

from collections.abc import Callable

import pytest

from harness.analysis.study import Study
from harness.report.charts import MOST_PANELS, Chart, make_charts
from tests.tools.synthetic import Shape

StudyOf = Callable[[Shape], Study]
ALONG = {"model": ("ppc", "tpc"), "load.connections": ("1", "32", "256")}


def _charts(study: Study) -> dict[str, Chart]:
    return {chart.id: chart for chart in make_charts(study)}


def test_intervals_that_reach_zero_end_at_the_end_of_a_logarithmic_axis(study_of: StudyOf) -> None:
    charts = _charts(study_of(Shape(ALONG, repeats=3, spread=1.5)))
    latency = charts["response_p99_us"]
    assert latency.y.log
    bars = [mean for panel in latency.panels for mean in panel.means if mean["low"] is not None]
    assert any(mean["interval"].startswith("0–") for mean in bars)
    lowest, highest = latency.y.domain
    assert all(lowest <= mean["low"] <= mean["y"] <= mean["high"] <= highest for mean in bars)


def test_values_that_span_decades_get_a_logarithmic_axis_and_others_one_from_zero(study_of: StudyOf) -> None:
    charts = _charts(study_of(Shape(ALONG, repeats=3)))
    assert charts["response_p50_us"].y.log
    assert charts["throughput_rps"].y.domain[0] == 0
    x = charts["throughput_rps"].x
    assert x is not None
    assert (x.title, x.log, x.ticks) == ("connections", True, (1, 32, 256))


@pytest.mark.parametrize(("kind", "labelled"), [("closed", True), ("open", False)])
def test_percentiles_of_a_closed_loop_and_only_those_are_labelled_at_saturation(
    study_of: StudyOf, kind: str, labelled: bool
) -> None:
    charts = _charts(study_of(Shape(ALONG, kind=kind)))
    assert charts["response_p99_us"].title.endswith("(at saturation)") is labelled
    assert "saturation" not in charts["throughput_rps"].title


def test_units_are_chosen_so_that_the_largest_value_reads_well(study_of: StudyOf) -> None:
    charts = _charts(study_of(Shape(ALONG)))
    assert charts["response_p99_us"].y.title == "Response time, p99 (ms)"
    assert charts["memory_bytes"].y.title == "Server memory (MiB)"
    assert charts["context_switches_per_request"].y.title == "Context switches per request"


def test_failed_runs_are_not_drawn_invalid_ones_are_but_not_in_the_mean(study_of: StudyOf) -> None:
    states = {"model-a.r1": "failed", "model-a.r2": "invalid"}
    study = study_of(Shape({"model": ("a",)}, repeats=4, states=states))
    (panel,) = _charts(study)["throughput_rps"].panels
    assert sorted(run["state"] for run in panel.runs) == ["invalid", "ok", "ok"]
    counted = [run["y"] for run in panel.runs if run["state"] == "ok"]
    assert panel.means[0]["y"] == pytest.approx(sum(counted) / 2, rel=1e-5)


def test_a_value_beyond_the_timeout_stands_at_it_and_is_told_as_at_least(study_of: StudyOf) -> None:
    (panel,) = _charts(study_of(Shape({"model": ("a",)}, repeats=3, timed_out=0.05)))["response_p99_us"].panels
    assert panel.means[0]["y"] == 5  # seconds
    assert panel.means[0]["value"] == "≥ 5 s"
    assert panel.means[0]["low"] is None


def test_further_factors_get_panels_and_what_is_not_drawn_is_counted(study_of: StudyOf) -> None:
    factors = {**ALONG, "handler.cpu": tuple(f"{n} us" for n in range(1, 15))}
    chart = _charts(study_of(Shape(factors, repeats=1, requests=100)))["throughput_rps"]
    assert [panel.title for panel in chart.panels][:2] == ["cpu 1 us", "cpu 2 us"]
    assert (len(chart.panels), chart.left_out) == (MOST_PANELS, 2)


def test_a_metric_that_no_run_carries_has_no_chart(study_of: StudyOf) -> None:
    charts = _charts(study_of(Shape({"model": ("a",)}, repeats=1)))
    assert "first_byte_p50_us" not in charts
    assert "throughput_rps" in charts


def test_littles_law_is_drawn_of_every_finished_trial(study_of: StudyOf) -> None:
    chart = _charts(study_of(Shape({"model": ("a", "b")}, repeats=3, states={"model-a.r1": "failed"})))["littles_law"]
    (panel,) = chart.panels
    assert len(panel.runs) == 5
    assert all(run["y"] == pytest.approx(run["x"], rel=0.02) for run in panel.runs)
