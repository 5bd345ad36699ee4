"""Holding a client's report against an SLO: a table of what meets it, what misses it, and what cannot be told."""

import math
from typing import Any

import pytest

from harness.histogram import index_of
from harness.slo import assess, fails_without_lag, requests_needed
from harness.spec.traffic import Slo
from tests.run.records import client_report


def counts(*of: tuple[float, int]) -> dict[int, int]:
    """A histogram of (milliseconds, requests)."""
    return {index_of(round(ms * 1e6)): requests for ms, requests in of}


def report(*response: tuple[float, int], **changes: Any) -> Any:
    answered = sum(requests for _, requests in response)
    fields = {"intended": answered, "ok": answered, "completed_in_window": answered, "errors": {}}
    return client_report(**{**fields, "histograms": {"response": counts(*response)}, **changes})


P99 = {"p99": "50 ms"}


@pytest.mark.parametrize(
    ("slo", "client", "met", "says"),
    [
        (P99, report((10, 1_990), (60, 10)), True, "p99 10 ms, at most 50 ms"),
        (P99, report((10, 1_900), (60, 100)), False, "p99 60 ms, at most 50 ms"),
        (P99, report((10, 999)), None, "p99 needs 1,000 requests, there were 999"),
        (P99, report((60, 500)), False, "500 of 500 beyond it"),
        (P99, report((10, 1_900), intended=2_000, errors={"timeout": 100}), False, "p99 beyond the timeout"),
        (P99, report((10, 2_000), intended=2_001, errors={"reset": 1}), False, "errors 0.050%, at most 0.000%"),
        ({**P99, "errors": "0.1 %"}, report((10, 2_000), intended=2_001, errors={"reset": 1}), True, "errors 0.050%"),
        ({"errors": "1 %"}, report((10, 1_900), intended=2_000, errors={"status": 100}), False, "errors 5.000%"),
        (P99, report((10, 2_000), completed_in_window=1_979), False, "the backlog grew by 21 requests, at most 20"),
        (P99, report((10, 2_000), completed_in_window=1_980), True, "the backlog grew by 20 requests"),
        ({"p50": "20 ms", "p99_9": "1 s"}, report((10, 5_000)), None, "p99.9 needs 10,000 requests"),
        ({"p50": "5 ms", "p99_9": "1 s"}, report((10, 5_000)), False, "p50 10 ms, at most 5 ms"),
    ],
)
def test_a_report_meets_misses_or_cannot_tell(slo: dict[str, str], client: Any, met: bool | None, says: str) -> None:
    found = assess(Slo.model_validate(slo), client)
    assert found.met is met
    assert says in found.why


def test_requests_that_failed_and_are_over_are_no_backlog() -> None:
    client = report((10, 1_900), intended=2_000, errors={"status": 100})
    assert assess(Slo.model_validate({"errors": "10 %"}), client).met is True


def test_how_much_of_what_is_allowed_was_used_tells_how_close_it_came() -> None:
    slo = Slo.model_validate(P99)
    assert assess(slo, report((10, 1_990), (60, 10))).excess == pytest.approx(0.5)
    assert assess(slo, report((10, 1_900), (60, 100))).excess == pytest.approx(5.0)
    assert math.isinf(assess(slo, report((10, 2_000), intended=2_001, errors={"reset": 1})).excess)


def test_percentiles_are_those_of_the_slo() -> None:
    found = assess(Slo.model_validate({"p50": "20 ms", "p99_9": "1 s"}), report((10, 5_000)))
    assert set(found.percentiles_us) == {"p50", "p99_9"}
    assert found.percentiles_us["p50"] == pytest.approx(10_000, rel=1e-3)
    assert found.percentiles_us["p99_9"] is None


@pytest.mark.parametrize(
    ("lag_ms", "fails"),
    [(1.0, True), (20.0, False)],  # of responses of 60 ms, against a limit of 50 ms
)
def test_a_miss_is_the_servers_where_the_clients_lag_does_not_explain_it(lag_ms: float, fails: bool) -> None:
    histograms = {"response": counts((60, 2_000)), "send_lag": counts((lag_ms, 2_000))}
    assert fails_without_lag(Slo.model_validate(P99), report((60, 2_000), histograms=histograms)) is fails


@pytest.mark.parametrize(
    ("slo", "needed"),
    [(P99, 1_000), ({"p50": "1 s"}, 1_000), ({"p99_9": "1 s"}, 10_000), ({"errors": "0.1 %"}, 10_000)],
)
def test_a_window_must_hold_enough_requests_to_tell(slo: dict[str, str], needed: int) -> None:
    assert requests_needed(Slo.model_validate(slo)) == needed
