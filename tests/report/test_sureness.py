"""A/A, drift, outliers, and the repeats that were decided, as a reader meets them."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import store
from harness.analysis.canary import canary
from harness.analysis.compare import compare
from harness.analysis.outliers import outliers, scores
from harness.analysis.study import Study, make_study
from harness.blocks import BlockDecision, OpenPair
from harness.report import make_report
from harness.report.answer import make_answer
from harness.report.content import banners, facts
from harness.report.doubts import doubted_trials, general_doubts
from harness.report.sureness import sureness_section
from harness.spec.experiment import Repeats
from tests.tools.synthetic import Shape, make_run

StudyOf = Callable[[Shape], Study]
TWO = {"model": ("tpc", "reactor")}
SLOW, FAST = "model-tpc", "model-reactor"


def _speed(tpc: float, reactor: float) -> Callable[..., float]:
    return lambda factors: {"tpc": tpc, "reactor": reactor}[factors["model"]]


def _notes(study: Study) -> str:
    return "\n".join(sureness_section(study).notes)


def test_the_canary_is_no_point_and_enters_no_mean(study_of: StudyOf) -> None:
    study = study_of(Shape(TWO, repeats=5, canary=3.0, speed=_speed(5_000, 6_000)))
    assert [point.id for point in study.points] == [SLOW, FAST]
    assert len(study.canary) == 5
    estimate = study.points[0].estimates["throughput_rps"]
    assert estimate is not None
    assert estimate.most < 6_000


def test_its_ratio_is_over_the_same_point_block_by_block(study_of: StudyOf) -> None:
    study = study_of(Shape(TWO, repeats=5, canary=1.1, spread=0, pace=lambda block: 1 + block))
    found = canary(study, "throughput_rps")
    assert found is not None
    assert found.ratio is not None
    assert (found.point.id, found.ratio.blocks) == (SLOW, 5)
    assert found.ratio.ratio == pytest.approx(1.1, rel=1e-3)


def test_a_difference_no_larger_than_that_of_equal_sides_is_not_claimed(study_of: StudyOf) -> None:
    shape = Shape(TWO, repeats=6, canary=1.06, spread=0.002, speed=_speed(5_000, 5_200))
    [with_canary] = compare(study_of(shape))
    [without] = compare(study_of(replace(shape, canary=None)))
    assert (without.outcome, with_canary.outcome) == ("wins", "tie")
    said = make_answer(study_of(shape)).headline
    assert "cannot be told apart" in said
    assert "two equal sides came as far apart in this run or further (A/A), 1.06 ×" in said


def test_a_difference_larger_than_that_is(study_of: StudyOf) -> None:
    [found] = compare(study_of(Shape(TWO, repeats=6, canary=1.06, spread=0.002, speed=_speed(5_000, 6_000))))
    assert found.outcome == "wins"


def test_equal_sides_that_came_apart_are_said_before_any_number(study_of: StudyOf) -> None:
    apart = study_of(Shape(TWO, repeats=6, canary=1.06, spread=0.002))
    assert any(said.startswith("Two equal sides came apart") and "6" in said for said in banners(apart))
    assert "The interval excludes 1, though the two are equal" in _notes(apart)
    level = study_of(Shape(TWO, repeats=6, canary=1.0, spread=0.01))
    assert not any("came apart" in said for said in banners(level))
    assert f"A/A: {SLOW} was measured twice in each of 6 blocks." in _notes(level)


def test_a_drift_larger_than_a_difference_claimed_is_a_doubt(study_of: StudyOf) -> None:
    shape = Shape(TWO, repeats=6, canary=1.0, spread=0.001, speed=_speed(5_000, 5_200))
    moving = study_of(replace(shape, pace=lambda block: 1 + 0.03 * block))
    assert any(re.match("The canary's throughput moved by 1[45] % between", said) for said in general_doubts(moving))
    assert "and rose from the first block to the last to 1.1" in _notes(moving)
    still = study_of(shape)
    assert not any("moved by" in said for said in general_doubts(still))


def test_a_drift_up_and_down_is_no_trend_and_a_trend_takes_five_blocks(study_of: StudyOf) -> None:
    shape = Shape(TWO, repeats=6, canary=1.0, spread=0, pace=lambda block: 1 + 0.1 * (block % 2))
    assert "without a trend" in _notes(study_of(shape))
    assert "a trend takes 5 blocks" in _notes(study_of(replace(shape, repeats=4)))


def test_without_a_run_of_both_that_counts_nothing_bounds_and_that_is_said(study_of: StudyOf) -> None:
    states = {f"canary.r{block}": "invalid" for block in range(1, 6)}
    study = study_of(Shape(TWO, repeats=5, canary=1.0, states=states))
    assert "nothing bounds a difference" in _notes(study)
    assert [found.outcome for found in compare(study)] == ["wins"]


def test_of_a_plan_without_a_canary_that_it_could_have_had_the_reason_is_its_age(study_of: StudyOf) -> None:
    study = study_of(Shape(TWO, repeats=3))
    experiment = study.run.plan.experiment.model_copy(update={"canary": True})
    plan = study.run.plan.model_copy(update={"experiment": experiment})
    assert "(A/A): the plan is older than that." in _notes(replace(study, run=replace(study.run, plan=plan)))


@pytest.mark.parametrize("factors", [TWO, {}], ids=["turned off", "one point"])
def test_no_canary_is_said_with_the_reason(study_of: StudyOf, factors: dict[str, tuple[str, ...]]) -> None:
    assert "No point was measured twice in a block (A/A)" in _notes(study_of(Shape(factors, repeats=3)))


@pytest.mark.parametrize(
    ("values", "far"),
    [
        ([10.0, 10.1, 9.9, 10.05, 14.0], [4]),
        ([10.0, 10.1, 9.9, 10.05, 6.0], [4]),
        ([10.0, 10.1, 9.9, 10.05, 9.95], []),
        ([10.0, 10.1, 9.9, 14.0], []),
        ([10.0] * 9 + [10.5], [9]),
        ([10.0] * 5, []),
        ([], []),
    ],
    ids=["above", "below", "none", "fewer than five", "others equal", "all equal", "no runs"],
)
def test_a_run_is_far_by_the_modified_z_score(values: list[float], far: list[int]) -> None:
    assert [at for at, score in enumerate(scores(values)) if abs(score) > 3.5] == far


def test_the_score_is_the_one_worked_out_by_hand() -> None:
    # median 10, distances 2 1 0 1 10: MAD 1; 0.6745 × 10 / 1
    assert scores([8, 9, 10, 11, 20])[4] == pytest.approx(6.745)


def test_an_outlier_is_named_with_what_was_seen_and_stays_in_the_mean(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Shape(TWO, repeats=6, spread=0.003, speed=_speed(5_000, 6_000)))
    path = run / "trials" / f"{SLOW}.r3" / "trial.json"
    record = json.loads(path.read_text())
    record["client"]["completed_in_window"] = 4_000
    record["cores"]["server"]["stolen"] = 0.3
    record["checks"] = [{"name": "steady", "passed": False, "detail": "no answer came for 0.6 s of the window"}]
    path.write_text(json.dumps(record))
    study = make_study(run)
    [found] = outliers(study)
    assert (found.trial, found.metric, found.value) == (f"{SLOW}.r3", "throughput_rps", 2_000)
    assert "a hypervisor took 30% of the server's cores" in found.seen
    assert found.failed == "failed: steady"
    estimate = study.points[0].estimates["throughput_rps"]
    assert estimate is not None
    assert (estimate.least, estimate.runs) == (2_000, 6)
    make_report(run)
    for name in ("index.html", "report.md"):
        assert f"{SLOW}.r3" in (run / "report" / name).read_text()
    assert "1 run lies far from the others of its point" in _notes(study)


RANKED = Shape(TWO, repeats=Repeats(min=3, max=6), canary=1.0, speed=_speed(5_000, 6_000))
OPEN = OpenPair(one=SLOW, other=FAST, metric="throughput_rps", blocks=3, ratio=0.99, low=0.95, high=1.03)


def _decided(folder: Path, *decisions: BlockDecision) -> Path:
    last = max((decision.block for decision in decisions if decision.points), default=3)
    points = (SLOW, FAST, "canary")
    states = {f"{point}.r{block}": "missing" for point in points for block in range(last + 1, 7)}
    run = make_run(folder, replace(RANKED, states=states))
    for decision in decisions:
        store.commit_decision(run, decision)
    return run


GOES_ON = BlockDecision(block=4, points=(SLOW, FAST), open=(OPEN,), settled={}, ended=None, spent_s=9.0, estimate_s=3.0)
SETTLED = BlockDecision(
    block=5, points=(), open=(), settled={SLOW: "ranked", FAST: "ranked"}, ended="settled", spent_s=12.0, estimate_s=0.0
)
OVER = SETTLED.model_copy(update={"open": (OPEN,), "settled": {}, "ended": "budget"})


def test_trials_that_were_not_needed_are_neither_missing_nor_doubted(tmp_path: Path) -> None:
    study = make_study(_decided(tmp_path / "run", GOES_ON, SETTLED))
    assert {row.state for row in study.rows} == {"ok", "not needed"}
    assert doubted_trials(study) == []
    assert "12 of 12 trials finished (6 more were not needed)" in facts(study)
    assert not any("not needed" in said for said in banners(study))


def test_every_decision_is_told_in_a_sentence_with_the_pairs_that_were_open(tmp_path: Path) -> None:
    said = _notes(make_study(_decided(tmp_path / "run", GOES_ON, SETTLED)))
    assert "Repeats until the sides are ranked: 3 blocks in any case, at most 6." in said
    assert "After block 3 the place of 2 of 2 points is open: block 4 repeats them." in said
    assert "Open: tpc against reactor, 0.99 [0.95–1.03]." in said
    assert "a ratio's interval is at 98.09 %" in said
    assert "After block 4 nothing is open: 2 ranked." in said


def test_repeats_that_the_budget_ended_are_said_before_any_number(tmp_path: Path) -> None:
    study = make_study(_decided(tmp_path / "run", GOES_ON, OVER))
    assert any("The time budget ended the repeats" in said for said in banners(study))


def test_a_run_that_stopped_before_it_was_decided_misses_the_rest(tmp_path: Path) -> None:
    study = make_study(_decided(tmp_path / "run"))
    assert {row.state for row in study.rows} == {"ok", "missing"}


def test_damaged_decisions_are_a_doubt_and_the_rest_is_reported(tmp_path: Path) -> None:
    run = _decided(tmp_path / "run", GOES_ON, SETTLED)
    (run / "blocks.json").write_bytes(b"{")
    make_report(run)
    assert any("blocks.json is damaged" in said for said in general_doubts(make_study(run)))
