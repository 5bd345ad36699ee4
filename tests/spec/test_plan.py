"""Experiment to trials."""

import math
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.plan import MAX_POINT_LENGTH, Plan, estimate_s, make_plan
from harness.spec.load import load_models
from tests.spec.conftest import Load

HEAD = "version: 1\ntitle: Which?\n"
SWEEP = HEAD + "factors:\n  model: [ppc, reactor]\n  load.connections: [1, 32]\nrepeats: 4\nseed: 5\n"


@pytest.fixture
def plan(load: Load, images: Path) -> "Planner":
    return Planner(load, images)


class Planner:
    """From text to a plan."""

    def __init__(self, load: Load, images: Path) -> None:
        self._load, self._models = load, load_models(images)

    def __call__(self, text: str) -> Plan:
        return make_plan(self._load(text), "mine", self._models)


def test_ids_are_readable(plan: Planner) -> None:
    assert sorted({trial.point for trial in plan(SWEEP).trials}) == [
        "canary",
        "model-ppc.connections-1",
        "model-ppc.connections-32",
        "model-reactor.connections-1",
        "model-reactor.connections-32",
    ]


def test_without_factors_there_is_one_point(plan: Planner) -> None:
    assert [trial.id for trial in plan(HEAD + "repeats: 2\n").trials] == ["base.r1", "base.r2"]


def test_each_block_holds_each_point_once_in_an_order_of_its_own(plan: Planner) -> None:
    trials = plan(SWEEP.replace("[1, 32]", "[1, 2, 3, 4, 5, 6]") + "canary: false\n").trials
    blocks = [[trial.point for trial in block] for _, block in groupby(trials, key=lambda trial: trial.block)]
    assert [trial.order for trial in trials] == list(range(1, 49))
    assert [len(block) for block in blocks] == [12] * 4
    assert len({tuple(sorted(block)) for block in blocks}) == 1
    assert len({tuple(block) for block in blocks}) == 4
    assert all(trial.repeat == trial.block and trial.id == f"{trial.point}.r{trial.repeat}" for trial in trials)


def test_from_two_points_and_three_blocks_on_each_block_has_a_canary_at_a_place_of_its_own(plan: Planner) -> None:
    made = plan(SWEEP.replace("repeats: 4", "repeats: 9"))
    canaries = [trial for trial in made.trials if trial.canary]
    first = next(trial for trial in made.trials if trial.point == "model-ppc.connections-1")
    assert [trial.id for trial in canaries] == [f"canary.r{block}" for block in range(1, 10)]
    assert all((trial.trial, trial.factors) == (first.trial, first.factors) for trial in canaries)
    places = [[trial.canary for trial in made.trials if trial.block == block].index(True) for block in range(1, 10)]
    assert len(set(places)) > 2


@pytest.mark.parametrize(
    ("old", "new"),
    [("repeats: 4", "repeats: 2"), ("seed: 5", "canary: false"), ("[ppc, reactor]", "[ppc]")],
    ids=["two blocks", "turned off", "one point"],
)
def test_there_is_no_canary_where_it_can_tell_nothing_or_is_not_wanted(plan: Planner, old: str, new: str) -> None:
    made = plan(SWEEP.replace("[1, 32]", "[1]").replace(old, new))
    assert not any(trial.canary for trial in made.trials)


def test_a_canary_changes_nothing_of_the_other_trials_but_their_place(plan: Planner) -> None:
    with_one, without = plan(SWEEP), plan(SWEEP + "canary: false\n")
    assert [trial.id for trial in with_one.trials if not trial.canary] == [trial.id for trial in without.trials]


def test_the_plan_holds_every_block_that_may_be_run(plan: Planner) -> None:
    made = plan(SWEEP.replace("repeats: 4", "repeats: {min: 3, max: 7}"))
    assert {trial.block for trial in made.trials} == set(range(1, 8))


def test_the_same_spec_makes_the_same_plan(plan: Planner) -> None:
    assert plan(SWEEP) == plan(SWEEP)


def test_the_order_is_fixed_over_versions(plan: Planner) -> None:
    assert [trial.id for trial in plan(SWEEP).trials[:4]] == [
        "model-reactor.connections-1.r1",  # by `printf 5:1:POINT | sha256sum`, sorted
        "model-ppc.connections-1.r1",
        "model-ppc.connections-32.r1",
        "model-reactor.connections-32.r1",
    ]


def test_another_seed_makes_another_order_of_the_same_trials(plan: Planner) -> None:
    one, other = plan(SWEEP), plan(SWEEP.replace("seed: 5", "seed: 6"))
    assert {trial.id for trial in one.trials} == {trial.id for trial in other.trials}
    assert [trial.id for trial in one.trials] != [trial.id for trial in other.trials]


@pytest.mark.parametrize(("old", "new"), [("[1, 32]", "[1, 8, 32, 64]"), ("repeats: 4", "repeats: 9")])
def test_more_levels_or_repeats_change_neither_ids_nor_order_of_the_others(plan: Planner, old: str, new: str) -> None:
    before = [trial.id for trial in plan(SWEEP).trials]
    after = [trial.id for trial in plan(SWEEP.replace(old, new)).trials]
    assert len(after) > len(before)
    assert [trial for trial in after if trial in set(before)] == before


def test_setting_the_model_resets_the_options_and_a_level_may_set_them_again(plan: Planner) -> None:
    text = HEAD + (
        "base: {model: prefork, options: {workers: 9}}\n"
        "factors:\n"
        "  model: [ppc, prefork, {label: epoll, set: {options.accept: epoll, model: prefork}}]\n"
        "  options.workers: [2]\n"
        "exclude: [{model: ppc}]\n"
        "repeats: 1\n"
    )
    options = {trial.factors["model"]: trial.trial.options for trial in plan(text).trials}
    assert options["prefork"] == {"workers": 2, "accept": "plain", "pinned": False, "name": "w"}
    assert options["epoll"] == {"workers": 2, "accept": "epoll", "pinned": False, "name": "w"}


def test_levels_reach_the_trial_typed_and_headers_are_added(plan: Planner) -> None:
    text = HEAD + (
        "base: {request: {headers: {A: b}}}\n"
        "factors: {load.window: [2 s], request.headers.X-T: [acme], request.method: [POST], request.body: [1 KiB]}\n"
        "repeats: 1\n"
    )
    [planned] = plan(text).trials
    assert planned.trial.load.window.s == 2
    assert planned.trial.request.headers == {"A": "b", "X-T": "acme"}
    assert planned.trial.request.body.bytes == 1024
    assert planned.factors == {"load.window": "2 s", "request.headers.X-T": "acme", "request.method": "POST", "request.body": "1 KiB"}  # fmt: skip


IDS = [
    ("{handler.cpu: [50 us]}", "cpu-50us"),
    ("{load.rate: [0.5/s], load.kind: [open]}", "rate-0.5-per-s.kind-open"),
    ("{limits.memory: [null]}", "memory-none"),
    ("{handler.body: [1 B], request.body: [2 B], request.method: [PUT]}", "handler-body-1B.request-body-2B.method-PUT"),
    ("{model: [{label: epoll prefork, set: {model: prefork}}]}", "model-epoll-prefork"),
]


@pytest.mark.parametrize(("factors", "point"), IDS, ids=[row[1] for row in IDS])
def test_labels_become_parts_of_a_folder_name(plan: Planner, factors: str, point: str) -> None:
    assert plan(HEAD + f"factors: {factors}\n").trials[0].point == point


def test_paths_that_only_differ_in_what_a_folder_cannot_hold_stay_apart(plan: Planner) -> None:
    trials = plan(HEAD + "factors: {request.path: [/, /a, /a/, '/a?b', /a/b, /../..]}\nrepeats: 1\n").trials
    assert len({trial.id.lower() for trial in trials}) == 6
    assert all(set(trial.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") for trial in trials)
    assert all(".." not in trial.id for trial in trials)


def test_long_ids_are_cut_and_stay_unique(plan: Planner) -> None:
    label = "x" * 58
    levels = ", ".join(f"{{label: {label}{n}, set: {{load.window: {n} s}}}}" for n in (1, 2))
    others = levels.replace("load.window", "load.warmup")
    trials = plan(HEAD + f"factors: {{load.window: [{levels}], load.warmup: [{others}]}}\nrepeats: 1\n").trials
    assert len({trial.point for trial in trials}) == 4
    assert all(len(trial.point) <= MAX_POINT_LENGTH for trial in trials)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_trials_are_the_product_of_the_levels_less_what_is_excluded(data: st.DataObject, plan: Planner) -> None:
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=3))
    factors = dict(zip(("load.connections", "limits.cores", "repeat"), sizes, strict=False))
    repeats = factors.pop("repeat", 1)
    cells = [(a, b) for a in range(1, sizes[0] + 1) for b in range(1, sizes[1] + 1)]
    out = data.draw(st.lists(st.sampled_from(cells), unique=True, max_size=len(cells) - 1))
    text = (
        HEAD
        + f"factors: {{load.connections: {list(range(1, sizes[0] + 1))}, limits.cores: {list(range(1, sizes[1] + 1))}}}\n"
    )
    text += f"exclude: [{', '.join(f'{{load.connections: {a}, limits.cores: {b}}}' for a, b in out)}]\nrepeats: {repeats}\ncanary: false\n"
    trials = plan(text).trials
    assert len(trials) == (math.prod(sizes[:2]) - len(out)) * repeats
    assert len({trial.id for trial in trials}) == len(trials)
    assert not {(trial.trial.load.connections, trial.trial.limits.cores) for trial in trials} & set(out)


def test_a_plan_survives_its_file(plan: Planner) -> None:
    text = SWEEP + "exclude: [{model: ppc, load.connections: 1}]\n"
    made = plan(text)
    assert Plan.model_validate_json(made.model_dump_json()) == made


def test_the_estimate_is_warm_up_window_and_overhead_of_every_trial(plan: Planner) -> None:
    trials = plan(HEAD + "base: {load: {warmup: 500 ms, window: 2 s}}\nrepeats: 4\n").trials
    assert estimate_s([planned.trial for planned in trials], overhead_s=1.5) == 4 * (0.5 + 2 + 1.5)
