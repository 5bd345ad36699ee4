"""The arithmetic of the open loop's schedule."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.schedule import ConstantRate

rates = st.integers(1, 10**9).map(lambda milli: milli / 1_000)
times = st.integers(0, 10**13)


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


@given(rates, st.integers(0, 10**10), st.integers(0, 10**10))
def test_counts_of_adjoining_spans_add_up(rate: float, first: int, second: int) -> None:
    schedule = ConstantRate.per_second(rate, 7)
    middle, end = 7 + first, 7 + first + second
    assert schedule.count(7, middle) + schedule.count(middle, end) == schedule.count(7, end)


@pytest.mark.parametrize(
    ("rate", "from_s", "to_s", "count"),
    [(1000, 0, 1, 1000), (3, 0, 1, 3), (0.001, 0, 1000, 1), (7, 1, 6, 35), (10, 0.05, 0.15, 1)],
)
def test_a_span_holds_rate_times_length(rate: float, from_s: float, to_s: float, count: int) -> None:
    assert ConstantRate.per_second(rate, 0).count(round(from_s * 1e9), round(to_s * 1e9)) == count


def test_nothing_is_intended_before_the_start() -> None:
    assert ConstantRate.per_second(5, 1_000).first_at_or_after(10) == 0
