"""What the gate makes of searches, simulated and real."""

import pytest

from harness.result import Capacity, SearchStep
from tests.bench.gates.capacity import covering, real_row
from tests.bench.gates.record import Outcome
from tests.bench.truth.simulated_capacity import Found


def test_an_interval_without_both_ends_holds_nothing() -> None:
    ends = [(0.9, 1.1), (0.9, None), (None, 1.1), (1.01, 1.1)]
    assert covering([Found(low, high, "found", 5, 1.0) for low, high in ends], 1.0) == 0.25


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
