"""The histogram on the terminal."""

from hypothesis import given
from hypothesis import strategies as st

from harness.histogram import index_of
from harness.load.plot import plot


def counts_of(values: list[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        counts[index_of(value)] = counts.get(index_of(value), 0) + 1
    return counts


def numbers(line: str) -> int:
    return int(line[62:73].replace(",", ""))


@given(st.lists(st.integers(1, 3_600_000_000_000), min_size=1, max_size=200), st.integers(0, 50))
def test_every_request_is_in_exactly_one_row(values: list[int], missing: int) -> None:
    lines = list(plot(counts_of(values), {}, missing))
    assert sum(numbers(line) for line in lines) == len(values) + missing
    assert len(lines) <= 17
    assert lines[-1].split("%")[0].endswith("100.000")


def test_a_mark_stands_in_the_row_that_holds_its_value() -> None:
    lines = list(plot(counts_of([1_000_000] * 90 + [30_000_000] * 10), {"p50": 1_000_000, "p99": 30_000_000}))
    assert lines[0].endswith("p50")
    assert lines[-1].endswith("p99")


def test_what_is_rare_is_still_seen() -> None:
    lines = list(plot(counts_of([1_000_000] * 100_000 + [50_000_000]), {}))
    assert [numbers(line) for line in lines if "▏" in line] == [1]


def test_nothing_answered_is_one_row_of_its_own() -> None:
    assert [line.strip().split("  ")[0] for line in plot({}, {}, missing=3)] == ["no answer in time"]
