"""Intervals: values from tables, and coverage by simulation with a fixed seed."""

import math
import random
from collections.abc import Callable

import pytest

from harness.analysis.statistics import Ratio, Rule, estimate, interval, ratio, t_quantile


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(2, 4.303), (4, 2.776), (9, 2.262), (19, 2.093)], ids=lambda value: f"{value}"
)
def test_students_t_has_the_values_of_the_printed_tables(freedom: int, quantile: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(quantile, abs=5e-4)


def test_the_interval_of_five_values_is_the_one_worked_out_by_hand() -> None:
    # mean 10, s = sqrt(2.5), error = s / sqrt(5) = 0.7071; 2.7764 × 0.7071 = 1.9632
    assert interval([8, 9, 10, 11, 12], seed=1) == pytest.approx((8.0368, 11.9632), abs=1e-4)


@pytest.mark.parametrize("runs", [1, 2])
def test_fewer_than_three_runs_have_a_spread_and_no_interval(runs: int) -> None:
    found = estimate([10.0, 12.0][:runs], seed=1)
    assert found is not None
    assert (found.low, found.high) == (None, None)
    assert (found.least, found.most) == (10.0, [10.0, 12.0][runs - 1])


def test_no_runs_have_no_estimate() -> None:
    assert estimate([], seed=1) is None


@pytest.mark.parametrize("runs", [3, 25])
def test_equal_runs_have_an_interval_of_no_width(runs: int) -> None:
    assert interval([7.0] * runs, seed=1) == (7.0, 7.0)


def test_a_run_beyond_the_timeout_makes_the_mean_a_lower_bound_without_interval() -> None:
    found = estimate([1.0, 1.0, math.inf], seed=1, censored_at=4.0)
    assert found is not None
    assert (found.mean, found.at_least, found.low) == (2.0, True, None)


@pytest.mark.parametrize("runs", [3, 5, 10])
def test_the_t_interval_covers_the_true_mean_in_95_of_100_cases(runs: int) -> None:
    covered = _coverage(runs, lambda chance: chance.gauss(100, 5), truth=100, cases=4_000)
    assert 0.94 <= covered <= 0.96


@pytest.mark.slow
def test_the_bootstrap_from_20_runs_on_covers_the_mean_of_a_skewed_sample() -> None:
    covered = _coverage(20, lambda chance: chance.lognormvariate(0, 0.5), truth=math.exp(0.125), cases=1_500)
    assert 0.93 <= covered <= 0.97


def test_the_bootstrap_is_the_same_for_the_same_seed_and_only_then() -> None:
    chance = random.Random(5)
    values = [chance.gauss(10, 1) for _ in range(20)]
    assert interval(values, seed=1) == interval(values, seed=1)
    assert interval(values, seed=1) != interval(values, seed=2)


def _coverage(runs: int, draw: Callable[[random.Random], float], truth: float, cases: int) -> float:
    chance, hits = random.Random(20260101), 0
    for _ in range(cases):
        low, high = interval([draw(chance) for _ in range(runs)], seed=1)
        assert low is not None
        assert high is not None
        hits += low <= truth <= high
    return hits / cases


def test_a_ratio_is_taken_within_blocks_so_that_drift_of_the_host_cancels() -> None:
    drifting = [100.0, 150.0, 80.0, 200.0, 120.0]
    found = ratio(
        [(2 * value * wobble, value) for value, wobble in zip(drifting, (1, 1.01, 0.99, 1, 1), strict=True)], 1
    )
    assert found is not None
    assert found.ratio == pytest.approx(2, rel=0.01)
    assert found.excludes_one
    assert found.high is not None
    assert found.high < 2.05


@pytest.mark.parametrize("pairs", [[], [(1.0, 0.0)], [(math.inf, 1.0)], [(1.0, -2.0)]])
def test_there_is_no_ratio_to_nothing_zero_or_infinity(pairs: list[tuple[float, float]]) -> None:
    assert ratio(pairs, seed=1) is None


def test_equal_sides_are_called_different_in_about_one_case_of_twenty() -> None:
    chance = random.Random(3)

    def different() -> bool:
        found = ratio([(chance.lognormvariate(0, 0.05), chance.lognormvariate(0, 0.05)) for _ in range(5)], 1)
        return found is not None and found.excludes_one

    assert 0.03 <= sum(different() for _ in range(2_000)) / 2_000 <= 0.07


@pytest.mark.parametrize(("runs", "cases"), [(5, 3_000), (10, 3_000), (20, 1_500)], ids=["5", "10", "20"])
def test_the_interval_of_a_ratio_covers_it_in_94_of_100_cases_or_more(runs: int, cases: int) -> None:
    chance, hits = random.Random(20260101), 0
    for _ in range(cases):
        pairs = [(1.2 * chance.lognormvariate(0, 0.1), chance.lognormvariate(0, 0.1)) for _ in range(runs)]
        found = ratio(pairs, seed=1)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 1.2 <= found.high
    assert hits / cases >= 0.94


def test_of_20_identical_pairs_at_most_3_are_called_different() -> None:
    chance = random.Random(20260101)

    def different() -> bool:
        pairs = [(chance.lognormvariate(0, 0.05), chance.lognormvariate(0, 0.05)) for _ in range(5)]
        found = ratio(pairs, 1)
        return found is not None and found.differs

    batches = [sum(different() for _ in range(20)) for _ in range(300)]
    assert sum(batch > 3 for batch in batches) / len(batches) <= 0.04  # by the binomial law 1.6 %


def test_a_difference_within_what_equal_sides_showed_asks_for_no_number_of_repeats() -> None:
    pairs = [(1.02, 1.0), (1.03, 1.0), (1.01, 1.0), (1.02, 1.0), (1.025, 1.0)]
    found = ratio(pairs, 1, Rule(bound=0.05))
    assert found is not None
    assert found.excludes_one
    assert not found.differs
    assert found.more_repeats is None


def test_where_the_data_were_looked_at_no_bootstrap_takes_the_place_of_t() -> None:
    chance = random.Random(3)
    values = [chance.gauss(10, 1) for _ in range(25)]
    assert interval(values, 1, Rule(looked=True)) == interval(values, 2, Rule(looked=True))


def test_an_open_question_says_how_many_more_repeats_would_settle_it() -> None:
    chance = random.Random(11)
    pairs = [(chance.lognormvariate(0.03, 0.05), 1.0) for _ in range(5)]
    found = ratio(pairs, seed=1)
    assert found is not None
    assert not found.excludes_one
    assert found.more_repeats is not None

    def settled() -> bool:
        logs = [math.log(a) for a, _ in pairs]
        mean = sum(logs) / 5
        spread = math.sqrt(sum((value - mean) ** 2 for value in logs) / 4)
        runs = 5 + (found.more_repeats or 0)
        again = ratio([(math.exp(chance.gauss(mean, spread)), 1.0) for _ in range(min(runs, 19))], 1)
        return again is not None and again.excludes_one

    if 5 + found.more_repeats < 20:
        assert 0.7 <= sum(settled() for _ in range(1_000)) / 1_000 <= 0.9


def test_a_settled_question_asks_for_no_more_repeats() -> None:
    found = ratio([(2.0, 1.0), (2.1, 1.0), (1.9, 1.0)], seed=1)
    assert isinstance(found, Ratio)
    assert found.more_repeats is None
