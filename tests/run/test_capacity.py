"""The search for capacity, on servers that are functions of the rate."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest

from harness.capacity import LONGEST_S, VOTES, Ended, Search, Step
from harness.result import Capacity, SearchStep
from harness.search import search_doubt
from harness.slo import Assessment

Server = Callable[[Step], float | None]  # how much of what is allowed a step uses up; None: the client gave out


def searched(server: Server, **changes: float) -> tuple[Search, list[Step]]:
    """Run a search to its end."""
    options = {"start_rps": 100.0, "resolution": 0.05, "window_s": 5.0, "confirmation_s": 30.0, "limit_s": 0.05}
    most = int(changes.pop("most_steps", 80))
    search = Search(**{**options, **changes}, requests=1_100, most_steps=most, guessed=False)
    steps: list[Step] = []
    while (step := search.next()) is not None:
        used = server(step)
        met = None if used is None else used <= 1
        search.tell(step, Assessment(met=met, why="", excess=used or 0.0, percentiles_us={}, errors=0.0))
        steps.append(step)
        assert len(steps) <= most
    return search, steps


def begun_at(start_rps: float, capacity_rps: float) -> list[float]:
    """The rates of a search that was told where to begin, as ratios of each to the one before."""
    search = Search(start_rps=start_rps, resolution=0.1, window_s=1, confirmation_s=1, requests=1_100, guessed=True)
    rates: list[float] = []
    while (step := search.next()) is not None:
        used = 0.0 if step.rate_rps <= capacity_rps else 50.0
        search.tell(step, Assessment(met=used <= 1, why="", excess=used, percentiles_us={}, errors=0.0))
        rates.append(step.rate_rps)
    assert search.low_rps is not None
    assert search.high_rps is not None
    assert search.low_rps <= capacity_rps < search.high_rps <= 1.1 * search.low_rps * (1 + 1e-9)
    return rates


def exactly(capacity_rps: float) -> Server:
    """Nothing is used up below a rate, everything above it."""
    return lambda step: 0.0 if step.rate_rps <= capacity_rps else 50.0


@pytest.mark.parametrize("capacity_rps", [13.0, 99.0, 100.0, 101.0, 777.0, 31_234.5])
@pytest.mark.parametrize("resolution", [0.01, 0.05, 0.5])
def test_the_interval_holds_the_capacity_and_is_as_narrow_as_asked(capacity_rps: float, resolution: float) -> None:
    search, _ = searched(exactly(capacity_rps), resolution=resolution)
    assert search.ended == "found"
    assert search.low_rps is not None
    assert search.high_rps is not None
    assert search.low_rps <= capacity_rps < search.high_rps
    assert search.high_rps / search.low_rps <= 1 + resolution + 1e-6


def test_a_good_guess_of_where_to_begin_is_bracketed_by_the_second_step() -> None:
    rates = begun_at(1_000, 1_040)
    assert rates[1] == pytest.approx(1_100)
    assert len(rates) == 6  # one that fails beside it, once more, and three that confirm


@pytest.mark.parametrize(("start_rps", "capacity_rps"), [(100, 10_000), (10_000, 100)], ids=["too low", "too high"])
def test_strides_from_a_bad_guess_lengthen_to_a_doubling(start_rps: float, capacity_rps: float) -> None:
    rates = begun_at(start_rps, capacity_rps)
    strides = [abs(math.log(after / before)) for before, after in pairwise(rates)][:6]
    expected = [min(math.log(1.1) * 2**at, math.log(2)) for at in range(6)]
    assert strides == pytest.approx(expected, rel=1e-6)


def test_the_last_step_confirms_the_lower_end_and_as_many_long_ones_agree_as_it_takes() -> None:
    search, steps = searched(exactly(777.0))
    assert (steps[-1].rate_rps, steps[-1].purpose) == (search.low_rps, "confirm")
    confirming = [step for step in steps if step.purpose == "confirm"]
    assert all(step.window_s >= 30 for step in confirming)
    assert sum(step.rate_rps == search.low_rps for step in confirming) == VOTES


def test_the_rate_is_doubled_first_then_bisected() -> None:
    _, steps = searched(exactly(777.0))
    assert [step.rate_rps for step in steps[:4]] == [100, 200, 400, 800]
    assert {step.purpose for step in steps[:4]} == {"double"}
    assert steps[4].rate_rps == pytest.approx(math.sqrt(400 * 800))


def test_the_rate_is_halved_where_the_first_is_too_high() -> None:
    _, steps = searched(exactly(30.0))
    assert [step.rate_rps for step in steps[:3]] == [100, 50, 25]


def test_a_window_is_long_enough_for_the_slo_and_for_an_overload_of_half_the_resolution() -> None:
    _, steps = searched(exactly(777.0), limit_s=1.0, resolution=0.02)
    assert all(step.window_s >= 1.0 / 0.01 for step in steps)
    assert all(step.window_s * step.rate_rps >= 1_100 - 1e-6 for step in steps)


def test_none_met_ends_at_a_floor_where_a_window_would_be_too_long() -> None:
    search, steps = searched(lambda _step: 50.0)
    assert (search.ended, search.low_rps) == ("none met", None)
    assert search.high_rps == pytest.approx(1_100 / LONGEST_S)
    assert min(step.rate_rps for step in steps) == search.high_rps


def test_a_client_that_gives_out_leaves_the_upper_end_open() -> None:
    search, _ = searched(lambda step: None if step.rate_rps > 1_000 else 0.0)
    assert (search.ended, search.low_rps, search.high_rps) == ("client gave out", 800, None)


def test_the_number_of_trials_is_bounded_and_what_is_known_by_then_is_kept() -> None:
    search, steps = searched(exactly(31_234.5), most_steps=14)
    assert (search.ended, len(steps)) == ("too many trials", 14)
    assert search.low_rps is not None
    assert search.low_rps <= 31_234.5
    assert (steps[-1].rate_rps, steps[-1].purpose) == (search.low_rps, "confirm")


def test_a_server_without_an_end_ends_the_search_by_its_bound() -> None:
    search, _ = searched(lambda _step: 0.0, most_steps=20)
    assert (search.ended, search.high_rps) == ("too many trials", None)


def test_a_failed_confirmation_makes_the_rate_the_upper_end_and_the_search_goes_on_below() -> None:
    def leaks(step: Step) -> float:  # short trials do not see what long ones do
        return 0.0 if step.rate_rps <= (777.0 if step.window_s >= 30 else 900.0) else 50.0

    search, steps = searched(leaks)
    assert search.ended == "found"
    assert search.low_rps is not None
    assert search.high_rps is not None
    assert search.low_rps <= 777.0 < search.high_rps
    assert any(step.purpose == "confirm" and step.rate_rps > 777.0 for step in steps)


@pytest.mark.parametrize("hit", range(22))
def test_one_hiccup_at_any_step_does_not_move_the_interval_off_the_capacity(hit: int) -> None:
    made = iter(range(1_000))
    search, _ = searched(lambda step: 6.0 if next(made) == hit else exactly(777.0)(step))
    assert search.ended == "found"
    assert search.low_rps is not None
    assert search.high_rps is not None
    assert search.low_rps <= 777.0 < search.high_rps


def test_a_rate_that_chance_decides_is_no_end_and_clear_ones_on_both_sides_are() -> None:
    turn = iter(range(1_000))

    def random_near(step: Step) -> float | None:
        if abs(step.rate_rps / 777.0 - 1) < 0.015:
            return 0.7 if next(turn) % 2 else 1.4
        return exactly(777.0)(step)

    search, _ = searched(random_near)
    assert search.ended == "found"
    assert search.low_rps is not None
    assert search.high_rps is not None
    assert search.low_rps < 777.0 * 0.985 < 777.0 * 1.015 < search.high_rps


def test_where_chance_is_wider_than_the_resolution_the_search_says_so() -> None:
    turn = iter(range(1_000))

    def random_near(step: Step) -> float | None:
        if abs(step.rate_rps / 777.0 - 1) < 0.1:
            return 0.7 if next(turn) % 2 else 1.4
        return exactly(777.0)(step)

    search, _ = searched(random_near)
    assert search.ended == "too many trials"
    assert search.low_rps is not None
    assert search.high_rps is not None
    assert search.low_rps < 777.0 * 1.1
    assert search.high_rps > 777.0 * 0.9


@pytest.mark.parametrize(
    ("ended", "low", "high", "says"),
    [
        ("found", 800.0, 820.0, None),
        ("client gave out", 800.0, None, None),  # which makes the trial invalid
        ("too many trials", 800.0, 1_600.0, "without the width that was asked for: met 800/s, not met 1,600/s"),
        ("too many trials", 800.0, None, "met 800/s, not met unknown"),
        ("none met", None, 25.0, "no rate met the SLO, the lowest that was tried is 25/s"),
    ],
)
def test_a_search_that_left_its_interval_open_is_doubted(
    ended: Ended, low: float | None, high: float | None, says: str | None
) -> None:
    step = SearchStep(
        rate_rps=25.0,
        window_s=1.0,
        purpose="double",
        met=False,
        why="",
        throughput_rps=25.0,
        errors=0.0,
        percentiles_us={},
        limited_by="nobody",
    )
    doubt = search_doubt(Capacity(low_rps=low, high_rps=high, ended=ended, steps=(step,), life_ok=0, life_unknown=0))
    assert (doubt is None) if says is None else (says in (doubt or ""))
