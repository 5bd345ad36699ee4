"""What never came is no reason for a better percentile."""

import math

import pytest

from harness.analysis.measures import measure
from tests.run.records import client_report, trial_result


@pytest.mark.parametrize("histogram", ["first_byte", "connect"])
def test_connections_that_have_no_value_count_as_longer_than_all_that_have(histogram: str) -> None:
    values = {"histograms": {histogram: {4_000: 100}}}
    most = measure(trial_result(client=client_report(**values, **{f"{histogram}_missing": 99})))
    fewer = measure(trial_result(client=client_report(**values, **{f"{histogram}_missing": 101})))
    assert math.isfinite(most[f"{histogram}_p50_us"] or math.nan)
    assert fewer[f"{histogram}_p50_us"] == math.inf
