"""The answer in a sentence says what the numbers carry, and no more."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.analysis.compare import compare
from harness.analysis.study import Study, make_study
from harness.report.answer import make_answer
from harness.report.charts import make_charts
from harness.report.doubts import doubted_trials, general_doubts
from harness.report.tables import terminal_table
from tests.tools.synthetic import Shape, make_run

StudyOf = Callable[[Shape], Study]
THREE = {"model": ("ppc", "tpc", "reactor")}


def _speed(**models: float) -> Callable[[Mapping[str, str]], float]:
    return lambda factors: models[factors["model"]]


CLEAR = _speed(ppc=4_500.0, tpc=7_000.0, reactor=9_000.0)
EQUAL = _speed(ppc=8_000.0, tpc=8_000.0, reactor=8_000.0)


def test_a_clear_win_over_five_repeats_is_a_verdict_with_ratios_and_who_gave_out(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=5, speed=CLEAR))).headline
    assert said.startswith("reactor has the highest throughput: ")
    assert "× tpc's [" in said
    assert "2.0" in said  # reactor over ppc
    assert said.endswith("the server's CPU gave out first.")


def test_the_same_over_three_repeats_leads_and_is_no_verdict(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=3, speed=CLEAR))).headline
    assert said.startswith("reactor leads in these runs with ")
    assert "(3 repeats: no verdict below 5)" in said
    assert "highest throughput" not in said


@pytest.mark.parametrize("repeats", [1, 2])
def test_below_three_repeats_the_highest_may_be_chance(study_of: StudyOf, repeats: int) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=repeats, speed=CLEAR))).headline
    assert "no interval below 3, so this may be chance" in said


def test_equal_sides_cannot_be_told_apart_and_more_repeats_are_counted(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=5, speed=EQUAL))).headline
    assert "cannot be told apart" in said
    assert "repeats would settle a difference of this size" in said


def test_two_level_sides_are_not_told_apart_and_the_third_is_behind(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=5, speed=_speed(ppc=3_000, tpc=8_000, reactor=8_000)))).headline
    assert "cannot be told apart" in said
    assert "; ppc is behind (" in said


def test_a_side_without_a_run_that_counts_is_named_not_beaten(study_of: StudyOf) -> None:
    states = {f"model-ppc.r{repeat}": "invalid" for repeat in range(1, 6)}
    said = make_answer(study_of(Shape(THREE, repeats=5, speed=CLEAR, states=states))).headline
    assert "ppc's" not in said
    assert "no figure for ppc: no run counts, or one that does carries none" in said


def test_invalid_runs_cannot_win(study_of: StudyOf) -> None:
    states = {f"model-reactor.r{repeat}": "invalid" for repeat in range(1, 6)}
    said = make_answer(study_of(Shape(THREE, repeats=5, speed=CLEAR, states=states))).headline
    assert said.startswith("tpc has the highest throughput")


def test_a_verdict_that_rests_on_marked_runs_says_so(study_of: StudyOf) -> None:
    study = study_of(Shape(THREE, repeats=5, speed=CLEAR, states={"model-reactor.r2": "marked"}))
    assert "; 1 of reactor's 5 runs is marked: see the doubts." in make_answer(study).headline


def test_along_connections_both_ends_are_told_with_their_place(study_of: StudyOf) -> None:
    factors = {**THREE, "load.connections": ("1", "256")}
    answer = make_answer(study_of(Shape(factors, repeats=5, speed=CLEAR)))
    assert answer.headline.startswith("At 256 connections, reactor has the highest throughput")
    assert answer.more.startswith("At 1 connection, reactor has the highest throughput")
    assert len(answer.findings) == 2


def test_winning_everywhere_is_said_only_of_verdicts(study_of: StudyOf) -> None:
    factors = {**THREE, "load.connections": ("1", "32", "256")}
    assert "at every one of the 3 places" in make_answer(study_of(Shape(factors, repeats=5, speed=CLEAR))).headline


def test_leading_everywhere_over_three_repeats_is_not_winning(study_of: StudyOf) -> None:
    factors = {**THREE, "load.connections": ("1", "32", "256")}
    assert "every one" not in make_answer(study_of(Shape(factors, repeats=3, speed=CLEAR))).headline


def test_one_server_along_connections_is_told_by_its_best_and_worst(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape({"load.connections": ("1", "64")}, repeats=5))).headline
    assert said.startswith("At 64 connections, reactor does best, with ")
    assert "at 1 connection." in said


def test_a_single_trial_is_told_as_it_is(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape({}, repeats=1))).headline
    assert said.startswith("reactor reaches ")
    assert "p99 at saturation" in said
    assert "(1 repeat: no verdict below 5.)" in said


def test_an_open_loop_is_about_the_tail_and_not_at_saturation(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=5, speed=CLEAR, kind="open"))).headline
    assert "the lowest response time, p99" in said
    assert "saturation" not in said


LOST = {"ppc": 0, "tpc": 32, "reactor": 32}


@pytest.mark.parametrize("fault", ["crash", "exit"])
def test_an_experiment_with_a_fault_opens_with_what_it_took_and_ranks_no_throughput(
    study_of: StudyOf, fault: str
) -> None:
    study = study_of(Shape(THREE, repeats=5, speed=CLEAR, fault=fault, lost=LOST))
    said = make_answer(study)
    assert said.headline == (
        f"Connections lost to the {fault}, of 32 that had no part in it: 0 with ppc; 32 with tpc and reactor (5 repeats)."
    )
    assert "throughput" not in said.headline + said.more
    assert any("They compare nothing" in doubt for doubt in general_doubts(study))
    assert terminal_table(study).columns[2] == "Connections lost"
    assert make_charts(study)[0].id == "connections_lost"


def test_a_fault_that_ends_no_process_is_about_requests_as_nothing_is_closed(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=5, speed=EQUAL, spread=0, fault="hang", timed_out=0.01)))
    assert said.headline.startswith("Requests that failed in the window with the hang: 160 with ")


def test_a_leak_breaks_nothing_off_and_throughput_is_compared(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=5, speed=CLEAR, fault="leak"))).headline
    assert said.startswith("reactor has the highest throughput: ")


def test_only_the_places_with_a_fault_are_about_it(study_of: StudyOf) -> None:
    factors = {**THREE, "handler.fault": ("none", "crash")}
    said = make_answer(study_of(Shape(factors, repeats=5, speed=CLEAR, lost=LOST)))
    assert len(said.findings) == 2
    assert "has the highest throughput" in said.findings[0]
    assert "connections lost to the crash" in said.findings[1].lower()


def test_one_server_with_a_fault_does_not_do_best(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape({"model": ("tpc",)}, repeats=5, fault="crash", lost=LOST))).headline
    assert said == "Connections lost to the crash, of 32 that had no part in it: 32 with tpc (5 repeats)."


def test_memory_per_connection_is_not_told_after_a_fault(study_of: StudyOf) -> None:
    whole, broken = (study_of(Shape(THREE, repeats=1, fault=fault)) for fault in ("none", "leak"))
    assert any(point.estimates["memory_per_connection_bytes"] for point in whole.points)
    assert not any(point.estimates["memory_per_connection_bytes"] for point in broken.points)


def test_the_metric_that_the_question_is_about_is_what_is_compared_and_drawn_first(study_of: StudyOf) -> None:
    study = study_of(Shape(THREE, repeats=5, metric="cpu_us_per_request"))
    said = make_answer(study).headline
    assert "server CPU per request " in said
    assert "requests/s" not in said
    assert make_charts(study)[0].id == "cpu_us_per_request"


def test_a_metric_of_which_the_best_has_none_is_listed_and_nobody_is_alone(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=5, metric="error_count"))).headline
    assert said == "Errors, count: 0 with ppc, tpc and reactor (5 repeats)."


def test_where_no_run_carries_that_metric_the_usual_one_is_compared(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=5, speed=CLEAR, metric="first_byte_p50_us"))).headline
    assert said.startswith("reactor has the highest throughput: ")


def test_when_every_p99_is_beyond_the_timeout_nobody_wins(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape(THREE, repeats=5, kind="open", timed_out=0.05))).headline
    assert said == "p99 is beyond the timeout on every side."


@pytest.mark.parametrize("state", ["failed", "missing", "void", "half-written", "invalid"])
def test_without_a_trial_that_counts_there_is_no_answer_and_the_reason(study_of: StudyOf, state: str) -> None:
    study = study_of(Shape({}, repeats=1, states={"base.r1": state}))
    said = make_answer(study).headline
    assert said.startswith("This run has no answer: of 1 trial: 1 ")


def test_doubts_name_marked_trials_first_each_with_its_reason(study_of: StudyOf) -> None:
    states = {
        "model-ppc.r1": "failed",
        "model-tpc.r1": "marked",
        "model-reactor.r1": "missing",
        "model-ppc.r2": "half-written",
    }
    doubts = doubted_trials(study_of(Shape(THREE, repeats=2, states=states)))
    assert [(doubt.state, doubt.trial) for doubt in doubts] == [
        ("marked", "model-tpc.r1"),
        ("failed", "model-ppc.r1"),
        ("missing", "model-reactor.r1"),
        ("unreadable", "model-ppc.r2"),
    ]
    assert doubts[0].reason.startswith("60 of 100 connections were served")
    assert "RESUME=1" in doubts[3].reason


def test_a_run_as_processes_and_with_few_repeats_doubts_itself(study_of: StudyOf) -> None:
    said = " ".join(general_doubts(study_of(Shape(THREE, repeats=3, runtime="process"))))
    assert "local processes, without containers" in said
    assert "3 repeats of each point: a verdict needs 5" in said
    assert "at saturation" in said


@pytest.mark.parametrize(("think", "saturated"), [("0 ns", True), ("5 ms", False)])
def test_percentiles_are_at_saturation_only_where_no_connection_pauses(
    tmp_path: Path, think: str, saturated: bool
) -> None:
    run = make_run(tmp_path / "run", Shape(THREE, repeats=3, speed=CLEAR))
    plan = json.loads((run / "plan.json").read_text())
    for planned in plan["trials"]:
        planned["trial"]["load"]["think"] = think
    (run / "plan.json").write_text(json.dumps(plan))
    study = make_study(run)
    assert any("at saturation" in title for title in terminal_table(study).columns) == saturated
    assert any("at saturation" in said for said in general_doubts(study)) == saturated
    assert any("at saturation" in chart.title for chart in make_charts(study)) == saturated


def test_a_single_marked_run_is_told_as_one(study_of: StudyOf) -> None:
    said = make_answer(study_of(Shape({}, repeats=1, states={"base.r1": "marked"}))).headline
    assert "only run is marked: see the doubts" in said


def test_a_growth_that_never_failed_is_no_end(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Shape({"model": ("ppc", "reactor")}, repeats=3, metric="connections_held"))
    for path in run.glob("trials/*/trial.json"):
        record = json.loads(path.read_text())
        ended = record["factors"]["model"] == "ppc"
        growth = {"begun": 70, "served": 70, "held": 80, "first_failed_at": None, "failure": None}
        ends = {"served": 10, "held": 16, "first_failed_at": 16, "failure": "timeout"}
        record["client"]["growth"] = growth | ends if ended else growth
        path.write_text(json.dumps(record))
    said = make_answer(make_study(run)).headline
    assert "; no new connection of reactor failed in the window, so that is how far the growth came" in said


def test_a_metric_that_nobody_carries_is_no_silent_change_of_the_question(study_of: StudyOf) -> None:
    asked = study_of(Shape(THREE, repeats=3, speed=CLEAR, metric="capacity_rps"))
    assert "requests/s" in make_answer(asked).headline
    assert any("asks for `capacity_rps`" in said for said in general_doubts(asked))
    carried = study_of(Shape(THREE, repeats=3, speed=CLEAR, metric="cpu_us_per_request"))
    assert not any("asks for" in said for said in general_doubts(carried))


def test_a_capacity_is_told_with_the_rate_above_it_that_failed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Shape({"model": ("ppc", "reactor")}, repeats=3, metric="capacity_rps"))
    for path in run.glob("trials/*/trial.json"):
        record = json.loads(path.read_text())
        low = 400.0 if record["factors"]["model"] == "ppc" else 900.0
        found = {"low_rps": low, "high_rps": low * 1.05, "ended": "found", "steps": [], "life_ok": 0, "life_unknown": 0}
        path.write_text(json.dumps(record | {"capacity": found}))
    assert "(and not 945/s), 2.25 × ppc's" in make_answer(make_study(run)).headline


@pytest.mark.parametrize(("apart", "outcome"), [(1.04, "tie"), (1.2, "wins")])
def test_capacities_less_than_a_resolution_apart_are_level(tmp_path: Path, apart: float, outcome: str) -> None:
    run = make_run(tmp_path / "run", Shape({"model": ("ppc", "reactor")}, repeats=5, metric="capacity_rps"))
    plan = json.loads((run / "plan.json").read_text())
    for planned in plan["trials"]:
        planned["trial"]["load"]["kind"] = "capacity"
    (run / "plan.json").write_text(json.dumps(plan))
    for path in run.glob("trials/*/trial.json"):
        record = json.loads(path.read_text())
        low = 400.0 * (apart if record["factors"]["model"] == "reactor" else 1)
        found = {"low_rps": low, "high_rps": low * 1.05, "ended": "found", "steps": [], "life_ok": 0, "life_unknown": 0}
        path.write_text(json.dumps(record | {"capacity": found}))
    [comparison] = compare(make_study(run))
    assert comparison.outcome == outcome
