"""Reports of several processes make one, exactly as if a single process had counted all of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.books.buckets import Histogram
from client.books.merge import UnlikeError, merge
from harness.histogram import percentile
from harness.raw import ClientReport

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "contract" / "client-report.schema.json"

VALUES = st.lists(st.integers(0, 1 << 50), max_size=40)
COUNTS = st.dictionaries(st.sampled_from(["timeout", "reset", "unsent", "no-port"]), st.integers(1, 1 << 40))


def histogram_of(values: Sequence[int]) -> dict[str, int]:
    """As it stands in a report: keys are text in JSON."""
    made = Histogram()
    made.add(np.array(values, np.int64))
    return {str(bucket): count for bucket, count in made.sparse().items()}


def a_report(**changes: Any) -> dict[str, Any]:
    """A report of one process, complete."""
    numbers = dict.fromkeys(
        [
            "intended",
            "sent",
            "ok",
            "completed_in_window",
            "in_flight_integral_s",
            "in_flight_starved_integral_s",
            "residence_s",
            "connections_opened",
            "connections_lost",
            "connections_unclosed",
            "connections_served",
            "connections_starved",
            "connect_missing",
            "first_byte_missing",
            "life_ok",
            "life_unknown",
            "bytes_received",
            "cpu_user_s",
            "cpu_system_s",
        ],
        1,
    )
    process = {"cpus": [0], "connections": 1, "cpu_user_s": 1, "cpu_system_s": 1, "bytes_per_connection": None}
    names = ("response", "service", "first_byte", "connect", "send_lag")
    return {
        "format": 1,
        "start_ns": 10,
        "begun_ns": 12,
        "window_start_ns": 20,
        "window_end_ns": 220_000_020,
        **numbers,
        "errors": {},
        "schedule": None,
        "per_100ms": [1, 0, 0],
        "errors_per_100ms": [0, 1, 0],
        "processes": [{**process, "run_delay_s": None}],
        "phases": [],
        "mix": [],
        "growth": None,
        "by_server": [],
        "histograms": {name: {} for name in names},
        **changes,
    }


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_the_histogram_of_the_merge_is_that_of_all_values_together(parts: list[list[int]]) -> None:
    reports = [a_report(histograms={"response": histogram_of(values)}) for values in parts]
    whole = histogram_of([value for values in parts for value in values])
    assert merge(reports)["histograms"]["response"] == whole


@given(st.lists(COUNTS, min_size=1, max_size=5))
def test_errors_add_up_by_kind(parts: list[dict[str, int]]) -> None:
    merged = merge([a_report(errors=errors) for errors in parts])["errors"]
    assert merged == {
        kind: sum(part.get(kind, 0) for part in parts)
        for kind in dict.fromkeys(kind for part in parts for kind in part)
    }


@given(st.permutations(range(4)))
def test_the_order_of_the_processes_does_not_matter_to_any_count(order: list[int]) -> None:
    reports = [a_report(ok=7**n, histograms={"response": histogram_of([n, 5**n])}) for n in range(4)]
    straight, shuffled = merge(reports), merge([reports[n] for n in order])
    assert straight == shuffled


def test_every_field_of_a_report_is_merged_and_the_schema_holds() -> None:
    """A field without a rule would be an error here: nothing that is counted can be left out."""
    phase = {"from_ns": 1, "to_ns": 2, "rate_per_s": 5.0, "intended": 1, "sent": 1, "ok": 1, "completed": 1}
    full = a_report(
        phases=[{**phase, "errors": {"reset": 1}, "histograms": {"response": {"9": 1}}}] * 2,
        mix=[{"intended": 1, "ok": 1, "errors": {}, "response": {"8": 1}}],
        by_server=[{"connections": 2, "completed_in_window": 3, "failed_in_window": 1, "life_ok": 5}] * 2,
        schedule=4,
    )
    assert set(full) == set(ClientReport.model_fields)
    merged = merge([full, full, full])
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(merged)
    report = ClientReport.model_validate_json(json.dumps(merged))
    assert (report.intended, report.schedule, report.connections_lost, len(report.processes)) == (3, 12, 3, 3)
    assert (report.phases[1].ok, report.phases[1].errors, report.phases[1].histograms) == (
        3,
        {"reset": 3},
        {"response": {9: 3}},
    )
    assert report.phases[0].rate_per_s == 5.0
    assert (report.mix[0].ok, report.mix[0].response) == (3, {8: 3})
    assert (report.per_100ms, report.errors_per_100ms) == ((3, 0, 0), (0, 3, 0))
    assert [share.model_dump() for share in report.by_server] == [
        {"connections": 6, "completed_in_window": 9, "failed_in_window": 3, "life_ok": 15}
    ] * 2


def test_a_client_has_begun_when_all_of_its_processes_have() -> None:
    assert merge([a_report(begun_ns=12), a_report(begun_ns=19), a_report(begun_ns=15)])["begun_ns"] == 19


def test_what_one_process_does_not_know_nobody_knows() -> None:
    assert merge([a_report(connections_lost=4), a_report(connections_lost=None)])["connections_lost"] is None


def test_a_percentile_of_the_merge_is_not_the_mean_of_the_percentiles() -> None:
    fast, slow = histogram_of([1_000] * 990 + [2_000] * 10), histogram_of([9_000] * 100)
    merged = merge([a_report(histograms={"response": part}) for part in (fast, slow)])["histograms"]["response"]
    assert percentile({int(bucket): count for bucket, count in merged.items()}, 95) == pytest.approx(9_000, rel=0.001)


UNLIKE: Mapping[str, tuple[dict[str, Any], str]] = {
    "another window": ({"window_start_ns": 21}, "window_start_ns: 20 and 21 in one run"),
    "another start": ({"start_ns": 11}, "start_ns: 10 and 11 in one run"),
    "other slices": ({"per_100ms": [1, 0]}, "per_100ms: 2 and 3 in one run"),
    "other phases": ({"phases": [{}]}, "phases: 0 and 1 in one run"),
    "something nobody else counts": ({"guessed": 1}, "report different things"),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_reports_that_do_not_fit_together_are_refused(name: str) -> None:
    change, said = UNLIKE[name]
    with pytest.raises(UnlikeError, match=said):
        merge([a_report(), a_report(**change)])


def test_a_count_without_a_rule_is_refused_even_if_all_have_it() -> None:
    with pytest.raises(UnlikeError, match="nobody knows how to merge guessed"):
        merge([a_report(guessed=1), a_report(guessed=1)])
