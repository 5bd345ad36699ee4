"""The schedules of an open loop: exact where they are regular, truly random where they are not, whole where shared."""

from fractions import Fraction
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.config import Config
from client.pace.rates import UNITS, edges_of, phases_of, rates_of
from client.pace.schedule import (
    WHOLE,
    ConstantRate,
    Poisson,
    Share,
    growth_at,
    newcomers_of,
    schedule_of,
    times_until,
)
from tests.client.anderson_darling import CRITICAL, statistic

S = 1_000_000_000
START = 123_456_789_012_345
rates = st.integers(1, 10**9).map(lambda milli: milli / 1_000)
times = st.integers(0, 10**13)


def config(*rates_per_s: float, **settings: Any) -> Config:
    """An open loop of one rate or several: 1 s of warm-up, 3 s of window."""
    given = {"rates_per_s": rates_per_s} if len(rates_per_s) > 1 else {"rate_per_s": rates_per_s[0]}
    return Config(**{"url": "", "kind": "open", "warmup_s": 1.0, "window_s": 3.0, **given, **settings})


def all_times(of: Config, share: Share = WHOLE, length_s: float = 4.0) -> list[int]:
    return list(times_until(schedule_of(of, share, START), START + round(length_s * S)))


@given(rates, times, st.integers(0, 10**7))
def test_a_request_is_intended_at_start_plus_number_over_rate_to_the_nanosecond(
    rate: float, start: int, i: int
) -> None:
    exact = start + i * 10**9 / Fraction(round(rate * 1_000), 1_000)
    assert 0 <= exact - ConstantRate.per_second(rate, start).intended_ns(i) < 1


@given(rates, times, times)
def test_the_first_at_or_after_a_time_is_at_or_after_it_and_the_one_before_is_not(
    rate: float, start: int, offset: int
) -> None:
    schedule, time = ConstantRate.per_second(rate, start), start + offset
    i = schedule.first_at_or_after(time)
    assert schedule.intended_ns(i) >= time
    assert i == 0 or schedule.intended_ns(i - 1) < time


@pytest.mark.parametrize(
    ("rate", "from_s", "to_s", "count"),
    [(1000, 0, 1, 1000), (3, 0, 1, 3), (0.001, 0, 1000, 1), (7, 1, 6, 35), (10, 0.05, 0.15, 1)],
)
def test_a_span_holds_rate_times_length(rate: float, from_s: float, to_s: float, count: int) -> None:
    from_ns, to_ns = round(from_s * S), round(to_s * S)
    assert ConstantRate.per_second(rate, 0).count(from_ns, to_ns) == count
    assert schedule_of(config(rate), WHOLE, 0).count(from_ns, to_ns) == count


def test_nothing_is_intended_before_the_start() -> None:
    assert ConstantRate.per_second(5, 1_000).first_at_or_after(10) == 0
    assert schedule_of(config(5), WHOLE, 1_000).count(0, 1_000) == 0


profiles = st.builds(
    lambda rates_per_s, shape, warmup_s, window_s: config(
        *rates_per_s, shape=shape, warmup_s=warmup_s, window_s=window_s
    ),
    st.lists(st.integers(1, 3_000_000).map(lambda milli: milli / 1_000), min_size=2, max_size=6),
    st.sampled_from(["staircase", "ramp"]),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.7, 1.0, 3.333333333]),
)


def cumulated(of: Config, time_ns: int) -> Fraction:
    """Requests from the start until then, piece by piece in fractions: the definition, and nothing clever."""
    warmup_ns, window_ns = round(of.warmup_s * S), round(of.window_s * S)
    milli = [Fraction(round(rate * 1_000), 10**12) for rate in of.rates_per_s]
    lines = list(pairwise(milli)) if of.shape == "ramp" else [(each, each) for each in milli]
    spans = [(0, warmup_ns, milli[0], milli[0])]
    for (since, to), line in zip(pairwise(edges_of(warmup_ns, window_ns, len(lines))), lines, strict=True):
        spans.append((since, to, *line))
    total = Fraction(0)
    for since, to, from_rate, to_rate in spans:
        elapsed = max(min(time_ns, to) - since, 0)
        if elapsed:
            total += from_rate * elapsed + (to_rate - from_rate) * elapsed * elapsed / (2 * (to - since))
    return total


@settings(deadline=None)
@given(profiles)
def test_steps_and_ramps_have_request_i_where_the_cumulated_rate_reaches_i_to_the_nanosecond(of: Config) -> None:
    end_ns = round((of.warmup_s + of.window_s) * S)
    found = list(islice(times_until(schedule_of(of, WHOLE, 0), end_ns), 3_000))
    for i in {0, 1, len(found) // 3, len(found) // 2, len(found) - 1} & set(range(len(found))):
        assert cumulated(of, found[i]) <= i
        assert cumulated(of, min(found[i] + 1, end_ns)) > i or found[i] + 1 >= end_ns
    assert found == sorted(found)


@settings(deadline=None)
@given(profiles, st.lists(st.integers(0, 5 * S), min_size=2, max_size=2).map(sorted))
def test_the_count_of_a_span_is_that_of_the_times_in_it(of: Config, span: list[int]) -> None:
    from_ns, to_ns = span
    found = list(times_until(schedule_of(of, WHOLE, 0), to_ns))
    assert schedule_of(of, WHOLE, 0).count(from_ns, to_ns) == sum(time >= from_ns for time in found)


@settings(deadline=None)
@given(profiles, st.integers(1, 7))
def test_the_parts_of_several_processes_are_together_the_regular_schedule(of: Config, processes: int) -> None:
    shares = [Share(index, processes) for index in range(processes)]
    assert sorted(time for share in shares for time in all_times(of, share)) == all_times(of)
    counts = [schedule_of(of, share, START).count(START + S, START + 2 * S) for share in shares]
    assert sum(counts) == schedule_of(of, WHOLE, START).count(START + S, START + 2 * S)


def test_the_warm_up_runs_at_the_first_rate_and_each_step_at_its_own() -> None:
    schedule = schedule_of(config(100, 1_000, 50), WHOLE, 0)
    assert [schedule.count(second * S, (second + 1) * S) for second in range(4)] == [100, 100, 1_000, 50]


def test_a_ramp_goes_straight_from_each_rate_to_the_next() -> None:
    """Warm-up at 100/s; 1.5 s from 100 to 1,000, then 1.5 s down to 400: the mean of the ends, times the length."""
    schedule = schedule_of(config(100, 1_000, 400, shape="ramp"), WHOLE, 0)
    counts = [schedule.count(from_ns, to_ns) for from_ns, to_ns in pairwise([0, S, 5 * S // 2, 4 * S])]
    assert counts == [100, 825, 1_050]


@pytest.mark.parametrize("shape", ["staircase", "ramp"])
@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_phases_are_the_steps_or_the_tenths_of_the_window_and_their_rates_what_is_offered(
    shape: str, arrivals: str
) -> None:
    of = config(1_000, 3_000, 2_000, shape=shape, arrivals=arrivals)
    edges = phases_of(of, START + S)
    assert len(edges) == (4 if shape == "staircase" else 11)
    assert (edges[0], edges[-1]) == (START + S, START + 4 * S)
    schedule = schedule_of(of, WHOLE, START)
    for from_ns, to_ns in pairwise(edges):
        expected = rates_of(of, START).expected(from_ns, to_ns)
        # Of a Poisson count the standard deviation is the root of its mean; 5 of them, as the seed is fixed.
        allowed = 5 * expected**0.5 if arrivals == "poisson" else 1
        assert abs(schedule.count(from_ns, to_ns) - expected) <= allowed


def test_one_rate_has_no_phases() -> None:
    assert phases_of(config(100), START) == []


SEEDS = [1, 2, 3, 4, 5]


@pytest.mark.parametrize("processes", [1, 2, 7])
@pytest.mark.parametrize("seed", SEEDS)
def test_poisson_gaps_are_exponential_also_when_merged(seed: int, processes: int) -> None:
    """20,000 gaps at 20,000/s, where rounding to whole nanoseconds would show first; alpha is 0.001."""
    of = config(20_000, arrivals="poisson", seed=seed)
    merged = sorted(time for index in range(processes) for time in all_times(of, Share(index, processes), 1.0))
    assert statistic(np.diff(merged).astype(np.float64), 20_000) < CRITICAL


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rescaled_ramp_is_a_poisson_process_in_the_time_of_its_cumulated_rate(seed: int) -> None:
    of = config(1_000, 9_000, 3_000, shape="ramp", arrivals="poisson", seed=seed)
    rescaled = np.array([rates_of(of, START).expected(START, time) for time in all_times(of)])
    assert statistic(np.diff(rescaled) * 1e9, 1.0) < CRITICAL


@pytest.mark.parametrize("bad", ["regular gaps", "one in ten dropped", "rounded to 20 us"])
def test_the_test_of_gaps_tells_what_is_not_exponential(bad: str) -> None:
    gaps = np.diff(all_times(config(20_000, arrivals="poisson"), length_s=1.0)).astype(np.float64)
    if bad == "regular gaps":
        gaps = np.diff(all_times(config(20_000), length_s=1.0)).astype(np.float64)
    elif bad == "one in ten dropped":
        gaps = np.add.reduceat(gaps, np.flatnonzero(np.arange(len(gaps)) % 10 != 9))
    else:
        gaps = np.round(gaps / 20_000) * 20_000
    assert statistic(gaps, 20_000) > CRITICAL


def test_a_poisson_schedule_is_the_same_each_time_and_another_for_another_seed_or_process() -> None:
    of = config(500, arrivals="poisson")
    assert all_times(of) == all_times(of)
    others = [
        all_times(config(500, arrivals="poisson", seed=2)),
        all_times(of, Share(0, 2)),
        all_times(of, Share(1, 2)),
    ]
    assert all(not set(all_times(of)) & set(other) for other in others)
    assert not set(others[1]) & set(others[2])


@pytest.mark.parametrize("share", [WHOLE, Share(2, 3)])
@pytest.mark.parametrize("rates_per_s", [(30_000,), (9_000, 100, 20_000)])
@pytest.mark.parametrize("shape", ["staircase", "ramp"])
def test_a_poisson_schedule_made_in_bulk_is_the_one_made_one_by_one(
    rates_per_s: tuple[float, ...], shape: str, share: Share
) -> None:
    schedule = schedule_of(config(*rates_per_s, shape=shape, arrivals="poisson"), share, START)
    assert isinstance(schedule, Poisson)
    bulk = next(schedule.blocks()).tolist() + next(islice(schedule.blocks(), 1, None)).tolist()
    assert list(islice(schedule.times(), len(bulk))) == bulk


@pytest.mark.parametrize("shape", ["staircase", "ramp"])
def test_a_poisson_schedule_counts_what_it_intends(shape: str) -> None:
    of = config(700, 100, 2_000, shape=shape, arrivals="poisson")
    found, schedule = all_times(of), schedule_of(of, WHOLE, START)
    for from_ns, to_ns in [(START, START + S), (START + S, START + 4 * S), (START + S, START + S), (0, START)]:
        assert schedule.count(from_ns, to_ns) == sum(from_ns <= time < to_ns for time in found)


def test_times_far_on_are_still_exact() -> None:
    """A day at a million a second: beyond what 64 bits hold in units, and what floats hold in nanoseconds."""
    of = config(1_000_000.001, window_s=86_400.0)
    number = schedule_of(of, WHOLE, START).count(START, START + 86_400 * S)
    assert number == -(-1_000_000_001 * 86_400 // 1_000)
    rates = rates_of(of, START)
    assert rates.first_at_or_after(rates.pieces[-1].reached_ns(number * UNITS)) == number


@pytest.mark.parametrize("processes", [1, 3])
def test_new_connections_come_evenly_in_warm_up_and_window(processes: int) -> None:
    of = Config(url="", kind="hold", rate_per_s=1, growth_per_s=25, warmup_s=1.0, window_s=3.0)
    shares = [Share(index, processes) for index in range(processes)]
    assert sum(newcomers_of(of, share) for share in shares) == 100
    merged = sorted(time for share in shares for time in times_until(growth_at(25, share, 0), 4 * S))
    assert merged == [i * S // 25 for i in range(100)]
