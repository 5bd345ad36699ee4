"""The tables that other tools read."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.analysis.frames import STATES, csv_bytes, parquet_bytes, summary_frame, trials_frame
from harness.analysis.study import Study
from harness.spec.metrics import METRICS, SUMMARY_METRICS
from tests.tools.synthetic import WINDOW_S, Shape

StudyOf = Callable[[Shape], Study]
ONE_FACTOR = {"model": ("a", "b")}
NAMED_BY_THE_ISSUE = (
    "throughput_rps",
    "response_p50_us",
    "response_p90_us",
    "response_p95_us",
    "response_p99_us",
    "response_p99_9_us",
    "first_byte_p50_us",
    "errors",
    "cpu_us_per_request",
    "memory_bytes",
    "context_switches_per_request",
)


def test_every_planned_trial_is_a_row_whatever_became_of_it(study_of: StudyOf) -> None:
    states = {
        "model-a.r1": "failed",
        "model-a.r2": "missing",
        "model-b.r1": "half-written",
        "model-b.r2": "invalid",
        "model-b.r3": "void",
    }
    frame = trials_frame(study_of(Shape(ONE_FACTOR, repeats=3, states=states))).set_index("id")
    assert len(frame) == 6
    expected = {**states, "model-b.r1": "unreadable", "model-a.r3": "ok"}
    assert frame["state"].to_dict() == expected
    assert frame.loc["model-a.r1", "reason"] == "the server did not come up within 10 s: port 18080 answers nothing"
    assert frame["throughput_rps"].isna().to_dict()["model-a.r2"]


def test_the_frame_of_trials_survives_parquet_with_its_types(study_of: StudyOf) -> None:
    frame = trials_frame(study_of(Shape(repeats=1)))
    again = pd.read_parquet(io.BytesIO(parquet_bytes(frame)))
    assert list(again.columns) == list(frame.columns)
    assert set(METRICS) < set(again.columns)
    assert again["load.connections"].dtype == "int64"
    assert all(again[metric].dtype == "float64" for metric in METRICS)


@pytest.mark.parametrize("state", ["ok", "failed", "missing"])
def test_the_columns_and_their_types_do_not_depend_on_what_failed(
    study_of: StudyOf, tmp_path: Path, state: str
) -> None:
    frame = trials_frame(study_of(Shape({}, repeats=1, states={"base.r1": state})))
    again = pd.read_parquet(io.BytesIO(parquet_bytes(frame)))
    assert {name: str(kind) for name, kind in again.dtypes.items() if name in ("reason", "throughput_rps")} == {
        "reason": "str",
        "throughput_rps": "float64",
    }


def test_the_summary_has_a_row_per_point_in_the_order_of_the_spec(study_of: StudyOf) -> None:
    frame = summary_frame(study_of(Shape(repeats=3)))
    assert list(frame["model"]) == ["ppc"] * 6 + ["tpc"] * 6 + ["reactor"] * 6
    assert list(frame["load.connections"][:6]) == [1, 1, 32, 32, 256, 256]


def test_the_summary_has_every_metric_that_was_promised_with_both_ends_of_its_interval(study_of: StudyOf) -> None:
    columns = set(summary_frame(study_of(Shape(ONE_FACTOR))).columns)
    for metric in NAMED_BY_THE_ISSUE:
        assert {metric, f"{metric}_low", f"{metric}_high"} <= columns
    assert {"model", "runs", "verdict", "verdict_runs"} | {state.replace(" ", "_") for state in STATES} <= columns


def test_only_runs_that_count_enter_a_mean(study_of: StudyOf) -> None:
    states = {"model-a.r1": "invalid", "model-a.r2": "failed", "model-a.r3": "marked"}
    study = study_of(Shape(ONE_FACTOR, repeats=4, states=states))
    trials = trials_frame(study).set_index("id")["throughput_rps"]
    summary = summary_frame(study).set_index("model").loc["a"]
    assert summary["throughput_rps"] == pytest.approx((trials["model-a.r3"] + trials["model-a.r4"]) / 2)
    assert (summary["runs"], summary["marked"], summary["invalid"], summary["failed"]) == (2, 1, 1, 1)
    assert pd.isna(summary["throughput_rps_low"])


def test_from_three_runs_on_there_is_an_interval_around_the_mean(study_of: StudyOf) -> None:
    frame = summary_frame(study_of(Shape(ONE_FACTOR, repeats=3)))
    for metric in SUMMARY_METRICS:
        known = frame[frame[f"{metric}_low"].notna()]
        assert (known[f"{metric}_low"] <= known[metric]).all()
        assert (known[metric] <= known[f"{metric}_high"]).all()
    assert frame["throughput_rps_low"].notna().all()


def test_throughput_is_right_answers_over_the_window(study_of: StudyOf) -> None:
    study = study_of(Shape({}, repeats=1))
    client = study.finished[0].client
    assert client is not None
    assert trials_frame(study)["throughput_rps"][0] == client.completed_in_window / WINDOW_S


def test_a_percentile_among_the_timed_out_is_infinite_and_one_that_is_not_is_a_number(study_of: StudyOf) -> None:
    frame = summary_frame(study_of(Shape({}, repeats=3, timed_out=0.02)))
    assert frame["response_p99_us"][0] == float("inf")
    assert frame["response_p50_us"][0] < 1e6
    assert pd.isna(frame["response_p99_us_low"][0])
    assert b",inf," in csv_bytes(frame)


def test_a_percentile_with_fewer_than_ten_samples_beyond_it_is_empty(study_of: StudyOf) -> None:
    frame = summary_frame(study_of(Shape({}, repeats=3, requests=999)))
    assert pd.isna(frame["response_p99_us"][0])
    assert frame["response_p95_us"][0] > 0


def test_the_verdict_is_who_gave_out_in_most_trials(study_of: StudyOf) -> None:
    frame = summary_frame(study_of(Shape({}, repeats=3)))
    assert (frame["verdict"][0], frame["verdict_runs"][0]) == ("server cpu", 3)


def test_a_run_without_factors_has_one_point(study_of: StudyOf) -> None:
    assert list(summary_frame(study_of(Shape({}, repeats=2)))["point"]) == ["base"]


def test_every_metric_says_what_it_is() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.definition.endswith(".")
        assert metric.title
