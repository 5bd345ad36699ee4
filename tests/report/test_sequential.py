"""Looking after every block and stopping where it is clear: how often that calls equal sides different. Seeded."""

import random
from itertools import combinations

import pytest

from harness.analysis.ranking import order
from harness.analysis.sequential import level_of_a_look, rule_for
from harness.analysis.statistics import Rule, ratio
from harness.spec.experiment import Experiment, Repeats

NOISE = 0.03  # standard deviation of the logarithm of a run


def experiment(least: int, most: int) -> Experiment:
    return Experiment(version=1, title="Which?", repeats=Repeats(min=least, max=most))


def test_one_look_needs_no_correction() -> None:
    assert level_of_a_look(5, 5, 0.05) == 0.05


def test_two_looks_have_the_level_that_theory_gives_for_many_blocks() -> None:
    # Looks at 500 and 1,000 blocks are Pocock's two equal stages of known variance: 0.0294 each (his table 1).
    # The procedure here looks after every block between, too, so its level has to be lower, and above Bonferroni's.
    assert 0.05 / 501 < level_of_a_look(500, 1_000, 0.05) < 0.0294


@pytest.mark.parametrize(("least", "most"), [(3, 6), (5, 15), (3, 15), (10, 40)], ids=str)
def test_more_looks_or_more_pairs_make_each_look_surer(least: int, most: int) -> None:
    level = level_of_a_look(least, most, 0.05)
    assert 0.05 / (most - least + 1) < level < 0.05
    assert level_of_a_look(least, most + 5, 0.05) < level
    assert rule_for(experiment(least, most), sides=4).alpha < rule_for(experiment(least, most), sides=3).alpha < level


def test_a_fixed_number_of_repeats_is_told_at_95_percent_whatever_the_number_of_sides() -> None:
    assert rule_for(Experiment(version=1, title="Which?", repeats=5), sides=8) == Rule()


def _first_call(sides: dict[str, float], chance: random.Random, least: int, most: int) -> tuple[int, set[str]]:
    """Block after which every pair was settled (the last where one never was), and what was said of pairs.

    As harness/course.py does it: a look after each block, and a pair that is settled is left alone.
    """
    rule, open_ = rule_for(experiment(least, most), len(sides)), dict.fromkeys(combinations(sides, 2), None)
    runs: dict[str, list[float]] = {side: [] for side in sides}
    said: set[str] = set()
    for block in range(1, most + 1):
        for side, speed in sides.items():
            runs[side].append(speed * chance.lognormvariate(0, NOISE))
        for one, other in list(open_) if block >= least else []:
            found = ratio(list(zip(runs[one], runs[other], strict=True)), 1, rule)
            assert found is not None
            if (verdict := order(found, least, rule)) is not None:
                said.add(verdict)
                del open_[one, other]
        if not open_:
            return block, said
    return most, said


@pytest.mark.parametrize(
    ("sides", "least", "most", "runs"), [(2, 5, 15, 3_000), (2, 3, 6, 3_000), (4, 5, 15, 800)], ids=str
)
def test_equal_sides_are_ranked_in_at_most_5_of_100_whole_procedures(
    sides: int, least: int, most: int, runs: int
) -> None:
    chance = random.Random(20260101)
    equal = {f"side {n}": 1_000.0 for n in range(sides)}
    false = sum("ranked" in _first_call(equal, chance, least, most)[1] for _ in range(runs)) / runs
    assert false <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_without_the_correction_they_would_be_ranked_far_more_often() -> None:
    chance, rule, runs = random.Random(20260101), Rule(), 1_000

    def ranked() -> bool:
        pairs = [(chance.lognormvariate(0, NOISE), chance.lognormvariate(0, NOISE)) for _ in range(15)]
        looks = (ratio(pairs[:blocks], 1, rule) for blocks in range(5, 16))
        return any(found is not None and order(found, 5, rule) == "ranked" for found in looks)

    assert sum(ranked() for _ in range(runs)) / runs > 0.10


def test_the_interval_holds_the_truth_at_every_look_at_once() -> None:
    chance, rule, runs = random.Random(7), rule_for(experiment(5, 15)), 3_000

    def missed() -> bool:
        pairs = [(1.1 * chance.lognormvariate(0, NOISE), chance.lognormvariate(0, NOISE)) for _ in range(15)]
        looks = [ratio(pairs[:blocks], 1, rule) for blocks in range(5, 16)]
        return any(found is None or not (found.low or 0) <= 1.1 <= (found.high or 0) for found in looks)

    assert sum(missed() for _ in range(runs)) / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_clear_differences_stop_after_the_least_number_of_blocks() -> None:
    chance = random.Random(5)
    ended = [_first_call({"a": 1_000, "b": 1_300, "c": 1_700}, chance, 5, 15) for _ in range(300)]
    assert sum(block == 5 for block, _ in ended) >= 0.95 * len(ended)
    assert all(said == {"ranked"} for _, said in ended)


def test_sides_that_are_level_and_steady_are_settled_as_equal_before_the_end() -> None:
    chance = random.Random(5)
    rule = rule_for(experiment(5, 15))
    pairs = [(1_000 * chance.lognormvariate(0, 0.002), 1_000 * chance.lognormvariate(0, 0.002)) for _ in range(5)]
    found = ratio(pairs, 1, rule)
    assert found is not None
    assert order(found, 5, rule) == "equal"
    assert order(found, 6, rule) is None


@pytest.mark.parametrize(("bound", "said"), [(0.0, "ranked"), (0.03, "equal"), (0.02, None)], ids=str)
def test_a_difference_has_to_be_larger_than_what_two_equal_sides_showed(bound: float, said: str | None) -> None:
    rule = Rule(bound=bound)
    found = ratio([(1.015, 1.0), (1.016, 1.0), (1.025, 1.0), (1.024, 1.0), (1.020, 1.0)], 1, rule)
    assert found is not None
    assert found.excludes_one
    assert order(found, 5, rule) == said
