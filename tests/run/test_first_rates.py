"""Where the searches of an experiment's repeats begin: each at a rate of its own, so that they do not all round alike."""

import math
from itertools import pairwise

import pytest

from harness.search import search_of
from harness.slo import Assessment
from harness.spec.experiment import Trial

RESOLUTION = 0.1


def trial(rate_per_s: int) -> Trial:
    load = {"kind": "capacity", "arrivals": "constant", "rate": f"{rate_per_s}/s", "resolution": "10 %"}
    return Trial.model_validate({"model": "prefork", "load": load, "slo": {"p99": "50 ms", "errors": "1 %"}})


def first(rate_per_s: int, block: int | None) -> float:
    step = search_of(trial(rate_per_s), block).next()
    assert step is not None
    return step.rate_rps


def found_rps(rate_per_s: int, block: int | None, capacity_rps: float) -> float:
    """The middle of the interval that a search for an exact capacity finds, on the log scale."""
    search = search_of(trial(rate_per_s), block)
    while (step := search.next()) is not None:
        met = step.rate_rps <= capacity_rps
        search.tell(step, Assessment(met=met, why="", excess=0.0 if met else 50.0, percentiles_us={}, errors=0.0))
    assert search.low_rps is not None
    assert search.high_rps is not None
    return math.sqrt(search.low_rps * search.high_rps)


def test_a_single_search_begins_exactly_where_it_is_told_to() -> None:
    assert first(186, None) == 186


@pytest.mark.parametrize("rate", [100, 186, 1_488])
def test_repeats_begin_within_half_a_resolution_of_it_and_spread_evenly_over_one(rate: int) -> None:
    begun = sorted(math.log(first(rate, block) / rate, 1 + RESOLUTION) for block in range(1, 9))
    assert begun[0] >= -0.5
    assert begun[-1] <= 0.5
    assert max(later - earlier for earlier, later in pairwise(begun)) < 0.3
    assert begun[0] + 1 - begun[-1] < 0.3


def test_points_with_the_same_first_rate_try_the_same_rates_within_a_block_and_others_do_not() -> None:
    assert first(186, 2) == first(186, 2)
    moved = {round(math.log(first(rate, 2) / rate, 1 + RESOLUTION), 6) for rate in (186, 372, 558)}
    assert len(moved) == 3


@pytest.mark.parametrize("capacity_rps", [187.0, 195.0, 204.0])
def test_repeats_together_are_finer_than_the_resolution_of_each(capacity_rps: float) -> None:
    """From one first rate all say the same, wrong by up to half a resolution; from rates of their own they are right on average."""
    alike = {found_rps(186, None, capacity_rps) for _ in range(8)}
    assert len(alike) == 1
    middles = [math.log(found_rps(186, block, capacity_rps) / capacity_rps, 1 + RESOLUTION) for block in range(1, 9)]
    assert len(set(middles)) == len(middles)
    assert abs(sum(middles) / len(middles)) < 0.1
