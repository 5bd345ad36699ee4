"""A row's outcome follows from its value, its bound and the floor, and from nothing else."""

import pytest

from tests.bench.gates.record import BenchRun, GateResult, Outcome, Row, at_least, at_most, between, not_run, published
from tests.bench.gates.text import bound_text, number, row_text, value_text


@pytest.mark.parametrize(
    ("measured", "floor", "outcome"),
    [
        (99.0, None, "pass"),
        (100.0, None, "pass"),
        (101.0, None, "missed"),
        (101.0, 50.0, "missed"),  # a floor far below the bound moves nothing
        (140.0, 100.0, "pass"),
        (150.0, 100.0, "pass"),
        (151.0, 100.0, "missed"),
        (None, 100.0, "missed"),
    ],
)
def test_a_bound_is_no_tighter_than_one_and_a_half_times_the_floor(
    measured: float | None, floor: float | None, outcome: Outcome
) -> None:
    assert at_most("lag", "µs", measured, 100.0, floor).outcome == outcome


@pytest.mark.parametrize(("measured", "outcome"), [(0.9, "pass"), (0.95, "pass"), (0.899, "missed")])
def test_a_ratio_passes_from_its_bound_on(measured: float, outcome: Outcome) -> None:
    assert at_least("ratio", "", measured, 0.9, (0.8, 1.0)).outcome == outcome


@pytest.mark.parametrize(
    ("interval", "reason", "outcome", "note"),
    [
        ((0.98, 1.02), "its core was full", "pass", ""),  # inside there is nothing to explain
        ((0.90, 1.02), "", "missed", ""),
        ((0.98, 1.10), "", "missed", ""),
        ((0.90, 1.02), "its core was full", "pass", "its core was full"),
    ],
)
def test_an_interval_lies_within_its_bounds_or_has_a_reason(
    interval: tuple[float, float], reason: str, outcome: Outcome, note: str
) -> None:
    row = between("throughput", "", 1.0, interval, (0.97, 1.03), reason)
    assert (row.outcome, row.note) == (outcome, note)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (at_most("lag", "µs", 80.0, 100.0), "pass      lag: 80 µs (≤ 100)"),
        (at_most("lag", "µs", 250.0, 100.0, 150.0), "MISSED    lag: 250 µs (≤ 225 = 1.5 × floor)"),
        (at_least("ratio", "", 0.95, 0.9, (0.9, 1.0)), "pass      ratio: 0.95 [0.9, 1] (≥ 0.9)"),
        (between("ratio", "", 1.0, (0.9, 1.1), (0.97, 1.03)), "MISSED    ratio: 1 [0.9, 1.1] (within [0.97, 1.03])"),
        (published("memory", "bytes", 1534.2), "published memory: 1,534 bytes"),
        (not_run("held", "no ports"), "not run   held: no ports"),
    ],
)
def test_a_row_is_one_line(row: Row, text: str) -> None:
    assert row_text(row) == text


def test_a_row_without_a_value_or_a_bound_shows_neither() -> None:
    assert (value_text(not_run("held", "no ports")), bound_text(published("memory", "bytes", 1.0))) == ("", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0"), (3.0, "3"), (0.12345, "0.123"), (1234.5, "1,234"), (45_000.0, "45,000")],
)
def test_numbers_have_three_digits(value: float | None, text: str) -> None:
    assert number(value) == text


def test_a_run_is_read_back_as_it_was_stored() -> None:
    result = GateResult(name="merge", rows=(at_most("buckets that differ", "", 0, 0),), seconds=1.0)
    run = BenchRun(
        made_at="2026-01-01T00:00:00+00:00", seconds=1, scale=1, cores=(0, 1), host={}, tools={}, gates=(result,)
    )
    assert BenchRun.model_validate_json(run.model_dump_json()) == run
