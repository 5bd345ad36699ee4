"""Which trials a run with `until: ranked` makes: what it decides, stores, and does not decide again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from harness import store
from harness.course import Course
from harness.errors import ResultError
from harness.plan import Plan
from harness.planning import describe_plan
from harness.resume import is_finished
from harness.spec.experiment import Repeats
from harness.spec.quantities import Duration
from harness.stage import Places
from tests.tools.synthetic import Shape, make_plan, make_result

THREE = {"model": ("a", "b", "c")}


def _speed(**models: float) -> Callable[[Mapping[str, str]], float]:
    return lambda factors: models[factors["model"]]


def shape(least: int = 3, most: int = 8, within_s: float | None = None, **changes: object) -> Shape:
    """Three sides of which a and b are hard to tell apart, and c is not."""
    within = None if within_s is None else Duration(int(within_s * 1e9))
    made = Shape(
        THREE,
        repeats=Repeats(min=least, max=most, within=within),
        canary=1.0,
        spread=0.02,
        speed=_speed(a=1_000, b=1_010, c=3_000),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def folder(tmp_path: Path, plan: Plan, name: str = "run") -> Path:
    """A run that has not begun."""
    run = tmp_path / name
    (run / "trials").mkdir(parents=True)
    (run / "plan.json").write_text(plan.model_dump_json())
    return run


def go(run: Path, plan: Plan, of: Shape, at_most: int = 1_000) -> list[str]:
    """Run trials, up to so many, as harness/experiment.py does; gives their ids."""
    said: list[str] = []
    done = store.read_trials(run)
    course = Course(run, plan, done, said.append)
    made: list[str] = []
    for planned in course:
        if len(made) == at_most:
            break
        result = make_result(planned, of)
        store.begin_trial(run, planned.id)
        store.commit_trial(run, result)
        course.add(planned, result)
        made.append(planned.id)
    return made


def decisions(run: Path) -> list[tuple[int, tuple[str, ...], str | None]]:
    return [(one.block, one.points, one.ended) for one in store.read_blocks(run).decisions]


def test_only_the_points_that_are_open_are_repeated_and_the_canary(tmp_path: Path) -> None:
    of = shape()
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    made = go(run, plan, of)
    assert len([trial for trial in made if trial.endswith((".r1", ".r2", ".r3"))]) == 12
    assert {trial for trial in made if trial.endswith(".r4")} == {"model-a.r4", "model-b.r4", "canary.r4"}
    assert decisions(run)[0] == (4, ("model-a", "model-b"), None)
    assert store.read_blocks(run).decisions[0].settled == {"model-c": "ranked"}


def test_clear_differences_end_after_the_least_number_of_blocks(tmp_path: Path) -> None:
    of = shape(speed=_speed(a=1_000, b=2_000, c=4_000))
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    assert len(go(run, plan, of)) == 12
    assert decisions(run) == [(4, (), "settled")]
    assert is_finished(run)


def test_what_stays_open_ends_at_the_most_blocks(tmp_path: Path) -> None:
    of = shape(most=5, spread=0.05, speed=_speed(a=1_000, b=1_000, c=1_000))
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    assert len(go(run, plan, of)) == 5 * 4
    assert [block for block, _, _ in decisions(run)] == [4, 5]
    assert is_finished(run)


def test_a_point_once_done_stays_done(tmp_path: Path) -> None:
    of = shape(spread=0.04)
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    go(run, plan, of)
    chosen = [set(points) for _, points, _ in decisions(run)]
    assert all(later <= earlier for earlier, later in pairwise(chosen))


def test_no_block_is_begun_that_would_end_after_the_budget(tmp_path: Path) -> None:
    of = shape(within_s=60, spread=0.05, speed=_speed(a=1_000, b=1_000, c=1_000))  # a trial takes about 4.4 s
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    assert len(go(run, plan, of)) == 12
    assert decisions(run) == [(4, (), "budget")]
    ended = store.read_blocks(run).ended
    assert ended is not None
    assert ended.spent_s + ended.estimate_s > 60
    assert len(ended.open) == 3
    assert is_finished(run)


def test_the_least_number_of_blocks_is_run_whatever_the_budget(tmp_path: Path) -> None:
    of = shape(within_s=1)
    plan = make_plan(of)
    assert len(go(folder(tmp_path, plan), plan, of)) == 12


@pytest.mark.parametrize("state", ["failed", "invalid"])
def test_a_side_without_a_run_that_counts_is_not_repeated(tmp_path: Path, state: str) -> None:
    of = shape(states={f"model-a.r{block}": state for block in range(1, 9)})
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    assert len(go(run, plan, of)) == 12
    assert store.read_blocks(run).decisions[0].settled["model-a"] == "no run counts"


def test_without_a_rival_there_is_nothing_to_rank(tmp_path: Path) -> None:
    of = replace(shape(), factors={"load.connections": ("1", "32")}, speed=lambda factors: 1_000.0)
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    go(run, plan, of)
    assert decisions(run) == [(4, (), "settled")]
    assert set(store.read_blocks(run).decisions[0].settled.values()) == {"no rival"}


@pytest.mark.parametrize("at_most", [5, 12, 13, 15])
def test_an_interrupted_run_goes_on_with_the_same_decisions_wherever_it_stopped(tmp_path: Path, at_most: int) -> None:
    of = shape(spread=0.04)
    plan = make_plan(of)
    whole, broken = folder(tmp_path, plan, "whole"), folder(tmp_path, plan, "broken")
    made = go(whole, plan, of)
    assert len(made) > 15
    first = go(broken, plan, of, at_most)
    assert not is_finished(broken)
    assert first + go(broken, plan, of) == made
    assert (broken / "blocks.json").read_bytes() == (whole / "blocks.json").read_bytes()
    assert is_finished(broken)


def test_what_was_decided_is_not_decided_again_though_the_numbers_would_now_say_otherwise(tmp_path: Path) -> None:
    of = shape()
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    go(run, plan, of, at_most=13)  # one trial into block 4
    clear = replace(of, speed=_speed(a=1_000, b=2_000, c=4_000))
    for planned in plan.trials[:12]:
        store.commit_trial(run, make_result(planned, clear))
    more = go(run, plan, clear, at_most=2)
    assert {trial.rpartition(".")[2] for trial in more} == {"r4"}


def test_a_fixed_number_of_repeats_decides_nothing(tmp_path: Path) -> None:
    of = replace(shape(), repeats=3)
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    assert len(go(run, plan, of)) == 12
    assert not (run / "blocks.json").exists()


def test_how_many_trials_may_still_come_shrinks_with_what_is_settled(tmp_path: Path) -> None:
    of = shape()
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    course = Course(run, plan, [], lambda _: None)
    assert course.at_most == 8 * 4
    for planned in course:
        if planned.block == 4:
            break
        store.begin_trial(run, planned.id)
        result = make_result(planned, of)
        store.commit_trial(run, result)
        course.add(planned, result)
    assert course.at_most == 12 + 5 * 3
    assert course.left_s == pytest.approx(5 * 3 * 4.4, rel=0.1)


def test_decisions_that_do_not_read_stop_the_run_with_what_to_do(tmp_path: Path) -> None:
    of = shape()
    plan = make_plan(of)
    run = folder(tmp_path, plan)
    (run / "blocks.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(
        ResultError, match=r"blocks\.json: not a Blocks that this version reads: .*remove the file and RESUME=1"
    ):
        Course(run, plan, [], lambda _: None)


def test_the_plan_says_the_least_and_the_most_time_that_it_takes(tmp_path: Path) -> None:
    spec = tmp_path / "ranked.yaml"
    spec.write_text(
        "version: 1\ntitle: Which?\nbase: {load: {warmup: 500 ms, window: 2 s}}\nfactors: {model: [tpc, reactor]}\n"
        "repeats: {min: 3, max: 6, within: 10 min}\n"
    )
    *_, said = describe_plan(spec, Places.under(Path(__file__).resolve().parents[2]))
    assert "36 s (2 points and the canary x 3 repeats = 9 trials) where all is clear by then" in said
    assert (
        "at most 72 s (2 points and the canary x 6 repeats = 18 trials), and beyond the first 3 no block that would end after 10:00 min"
        in said
    )


def test_the_plan_says_that_a_search_may_take_longer_than_estimated(tmp_path: Path) -> None:
    spec = tmp_path / "search.yaml"
    spec.write_text("version: 1\ntitle: Which?\nbase: {load: {kind: capacity}, slo: {p99: 50 ms}}\n")
    *_, said = describe_plan(spec, Places.under(Path(__file__).resolve().parents[2]))
    assert "a search may take four times as long" in said
