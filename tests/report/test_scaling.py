"""The Universal Scalability Law: what is put in comes out, as surely as it says."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.law import Law, Span
from harness.analysis.scaling import Observation, fit, growth

SIZES = (1, 2, 3, 4, 6)
SIMULATIONS = 200


def _runs(
    law: Law, chance: random.Random, spread: float = 0.02, sizes: tuple[int, ...] = SIZES, blocks: int = 3
) -> list[Observation]:
    return [
        Observation(n, block, law.at(n) * chance.lognormvariate(0, spread)) for block in range(blocks) for n in sizes
    ]


def _holds(span: Span | None, value: float) -> bool:
    return span is not None and span.low <= value <= span.high


laws = st.builds(Law, st.floats(1, 1e6), st.floats(0, 0.5), st.floats(0, 0.05))


@given(laws)
@settings(max_examples=60, deadline=None)
def test_runs_without_spread_give_back_the_law_that_made_them(law: Law) -> None:
    found = fit(_runs(law, random.Random(1), spread=0.0), seed=1)
    assert found is not None
    for n in (1, 2, 5, 8, 16):
        assert found.law.at(n) == pytest.approx(law.at(n), rel=1e-6)


@given(laws, st.floats(1e-3, 1e3))
@settings(max_examples=40, deadline=None)
def test_other_units_scale_lambda_and_leave_sigma_and_kappa(law: Law, factor: float) -> None:
    runs = _runs(law, random.Random(5))
    scaled = [Observation(run.servers, run.block, run.value * factor) for run in runs]
    one, other = fit(runs, seed=1), fit(scaled, seed=1)
    assert one is not None
    assert other is not None
    assert other.law.scale == pytest.approx(one.law.scale * factor, rel=1e-6)
    assert other.law.sigma == pytest.approx(one.law.sigma, abs=1e-9)
    assert other.law.kappa == pytest.approx(one.law.kappa, abs=1e-9)


@given(laws, st.integers(0, 1_000))
@settings(max_examples=40, deadline=None)
def test_sigma_and_kappa_are_never_negative_and_a_prediction_is_never_narrower_than_the_law(
    law: Law, number: int
) -> None:
    found = fit(_runs(law, random.Random(number), spread=0.1), seed=number)
    assert found is not None
    assert found.law.sigma >= 0
    assert found.law.kappa >= 0
    curve, prediction = found.curve(8), found.prediction(8)
    assert curve is not None
    assert prediction is not None
    assert prediction.high - prediction.low >= 0.9 * (curve.high - curve.low)


@pytest.mark.parametrize(
    "law",
    [Law(200, 0, 0), Law(200, 0.02, 0), Law(200, 0, 0.002), Law(200, 0.05, 0.003), Law(1_000, 0.2, 0.01)],
    ids=["linear", "contention", "coherency", "both", "much of both"],
)
def test_intervals_hold_the_truth_and_predictions_the_next_run_about_as_often_as_they_say(law: Law) -> None:
    chance, held = random.Random(7), dict.fromkeys(("scale", "sigma", "kappa", "curve", "next"), 0)
    for number in range(SIMULATIONS):
        found = fit(_runs(law, chance), seed=number)
        assert found is not None
        held["scale"] += _holds(found.scale, law.scale)
        held["sigma"] += _holds(found.sigma, law.sigma)
        held["kappa"] += _holds(found.kappa, law.kappa)
        held["curve"] += _holds(found.curve(8), law.at(8))
        held["next"] += _holds(found.prediction(8), law.at(8) * chance.lognormvariate(0, 0.02))
    shares = {name: count / SIMULATIONS for name, count in held.items()}
    assert min(shares.values()) >= 0.86, shares  # at a bound, as σ = 0, an interval loses a side
    assert shares["next"] >= 0.91, shares
    assert shares["curve"] >= 0.90, shares


def test_the_peak_is_where_the_law_is_highest() -> None:
    law = Law(100, 0.05, 0.002)
    peak = law.peak
    assert peak is not None
    assert peak == pytest.approx(math.sqrt(0.95 / 0.002))
    assert law.at(peak) >= max(law.at(peak - 0.5), law.at(peak + 0.5))


def test_a_server_more_stops_paying_where_it_brings_less_than_half_of_one() -> None:
    law = Law(100, 0.05, 0.002)
    last = law.pays_to
    assert last is not None
    assert law.at(last + 1) - law.at(last) < 50 <= law.at(last) - law.at(last - 1)


def test_a_linear_law_has_no_peak_and_always_pays() -> None:
    law = Law(100, 0, 0)
    assert (law.peak, law.pays_to) == (None, None)
    assert law.servers_for(750) == 8


def test_a_rate_above_the_peak_is_held_by_no_number_of_servers() -> None:
    assert Law(100, 0.05, 0.02).servers_for(1_000) is None


@pytest.mark.parametrize(
    ("sizes", "blocks"), [((1,), 5), ((1, 8), 5), ((1, 2, 4), 1)], ids=["one size", "two sizes", "as many as terms"]
)
def test_too_little_gives_no_law(sizes: tuple[int, ...], blocks: int) -> None:
    assert fit(_runs(Law(100, 0, 0), random.Random(1), sizes=sizes, blocks=blocks), seed=1) is None


def test_two_repeats_give_a_law_without_any_interval() -> None:
    found = fit(_runs(Law(100, 0.02, 0), random.Random(1), blocks=2), seed=1)
    assert found is not None
    assert (found.scale, found.sigma, found.kappa, found.prediction(8)) == (None, None, None, None)
    assert not found.kappa_known


def test_searches_that_agree_to_the_request_are_no_surer_than_their_resolution() -> None:
    runs = [Observation(n, block, 100.0 * n, 105.0 * n) for block in range(3) for n in SIZES]
    found = fit(runs, seed=1)
    assert found is not None
    assert found.spread == pytest.approx(math.log(1.05) / math.sqrt(12))
    assert _holds(found.prediction(8), 800 / 1.02)


def test_runs_that_are_all_equal_and_exact_leave_nothing_open() -> None:
    found = fit([Observation(n, block, 100.0) for block in range(3) for n in SIZES], seed=1)
    assert found is not None
    assert found.law.at(8) == pytest.approx(100)  # σ = 1: all the work is done one after the other
    assert found.law.pays_to == 1


def test_more_than_linear_growth_is_told_and_leaves_sigma_at_its_bound() -> None:
    chance = random.Random(3)
    runs = [Observation(n, b, 100 * n**1.1 * chance.lognormvariate(0, 0.01)) for b in range(3) for n in SIZES]
    found, grown = fit(runs, seed=1), growth(runs)
    assert found is not None
    assert grown is not None
    assert (found.law.sigma, found.law.kappa) == (0, 0)
    assert grown.low > 0


def test_linear_growth_is_not_called_more_than_linear() -> None:
    chance, called = random.Random(11), 0
    for _ in range(SIMULATIONS):
        grown = growth(_runs(Law(100, 0, 0), chance))
        assert grown is not None
        called += grown.low > 0
    assert called <= 0.06 * SIMULATIONS


def test_the_same_seed_gives_the_same_intervals() -> None:
    runs = _runs(Law(100, 0.05, 0.001), random.Random(2))
    one, other = fit(runs, seed=4), fit(runs, seed=4)
    assert one is not None
    assert other is not None
    assert (one.sigma, one.prediction(8), one.pays_to()) == (other.sigma, other.prediction(8), other.pays_to())
