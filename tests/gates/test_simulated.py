"""The simulated server is one that is known: by hand where nothing is left to chance, by theory where something is."""

import numpy as np
import pytest

from harness.capacity import Step
from harness.result import Capacity, SearchStep
from tests.bench.gates.capacity import covering, real_row, simulate
from tests.bench.gates.record import Outcome
from tests.bench.truth.simulated import Simulated, _departures


def test_requests_are_done_one_after_the_other() -> None:
    arrived = np.array([[0.0, 1.0, 1.5, 10.0]])
    assert _departures(arrived, 2.0).tolist() == [[2.0, 4.0, 6.0, 12.0]]


def test_the_mean_wait_is_that_of_theory() -> None:
    """Pollaczek and Khinchine: at a utilisation of 0.5 the mean wait is half a time of service."""
    arrived = np.cumsum(np.random.default_rng(2).exponential(2.0, (50, 20_000)), axis=1)
    waits = _departures(arrived, 1.0) - arrived - 1.0
    assert waits[:, 1_000:].mean() == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize(("rate_rps", "met"), [(300.0, True), (1_500.0, False)])
def test_far_from_its_capacity_a_trial_is_clear(rate_rps: float, met: bool) -> None:
    server = Simulated(1_000.0, 0.05)
    assessment = server.trial(Step(rate_rps, 5.0, "bisect"), np.random.default_rng(1))
    assert assessment.met is met
    assert (assessment.excess <= 1) is met


def test_the_truth_lies_below_the_capacity_and_stretches_with_it() -> None:
    one = Simulated(1.0, 50.0).truth_rps(5_000, np.random.default_rng(3), trials=100)
    thousand = Simulated(1_000.0, 0.05).truth_rps(5.0, np.random.default_rng(3), trials=100)
    assert 0.8 < one < 1
    assert thousand / 1_000 == pytest.approx(one, rel=0.002)


def test_an_interval_without_both_ends_holds_nothing() -> None:
    found = [(0.9, 1.1, 5), (0.9, None, 5), (None, 1.1, 5), (1.01, 1.1, 5)]
    assert covering(found, 1.0) == 0.25


@pytest.mark.slow
def test_some_searches_find_an_interval_each() -> None:
    found, truth = simulate(5, 4_000, np.random.default_rng(4))
    assert all(low is not None and high is not None and 0 < low < high for low, high, _ in found)
    assert 0.8 < truth < 1.1


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(990.0, 1_020.0, "pass"), (1_030.0, 1_060.0, "missed"), (990.0, None, "missed"), (None, None, "missed")],
)
def test_a_real_search_passes_where_the_middle_of_its_interval_is_near(
    low: float | None, high: float | None, outcome: Outcome
) -> None:
    step = SearchStep(
        rate_rps=1_000,
        window_s=1,
        purpose="confirm",
        met=True,
        why="",
        throughput_rps=1_000,
        errors=0,
        percentiles_us={},
        limited_by="nobody",
    )
    found = Capacity(low_rps=low, high_rps=high, ended="found", steps=(step,), life_ok=1, life_unknown=0)
    assert real_row(1_000.0, found).outcome == outcome
