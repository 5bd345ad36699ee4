"""From the probe's looks to what a server used: edges, marks and looks at memory, put together."""

from typing import Any

import pytest

from harness.raw import MemoryLook, ProbeReport, Sample, ServerReport
from harness.result import ServiceUsage
from harness.usage import usage_of
from tests.report.looks import look
from tests.run.records import mark, server_report


def sample(at_ns: int, **changes: Any) -> Sample:
    names = ("voluntary_switches", "involuntary_switches", "child_voluntary_switches", "child_involuntary_switches")
    fields: dict[str, Any] = dict.fromkeys((*names, "minor_faults", "major_faults"), 0)
    fields |= {"cpu_user_s": 0.0, "cpu_system_s": 0.0, "memory_bytes": None, "throttled_s": None, "descriptors": None}
    return Sample.model_validate({**fields, "at_ns": at_ns, "processes": 1, "threads": 1, **changes})


def used(first: Sample, last: Sample, report: ServerReport | None, looks: tuple[MemoryLook, ...] = ()) -> ServiceUsage:
    seen = ProbeReport(samples={}, edges={"server": (first, last)}, memory={"server": looks}, host=())
    found = usage_of(seen, "server", 1, report)
    assert found is not None
    return found


def marks(before: int, after: int) -> ServerReport:
    """What the server says of itself and its reaped children: switches at both edges."""
    edges = ((1_000_000_000, before), (3_000_000_000, after))
    return server_report(marks=tuple(mark(at_ns, 0, voluntary_switches=count) for at_ns, count in edges))


@pytest.mark.parametrize(
    ("own", "children", "expected"),
    [
        ((0, 0), (100, 900), 400.0),  # workers made ahead, and a main process that does nothing
        ((100, 900), (0, 0), 400.0),  # no children
        ((100, 2_100), (50, 50), 1_000.0),  # a process per connection: nearly all have ended, and were waited for
        (
            (100, 500),
            (300, 100),
            100.0,
        ),  # a worker of 300 died and was replaced: what it did before is not the window's
        ((100, 100), (300, 100), 0.0),  # it died and has not been waited for yet
    ],
)
def test_switches_are_those_of_the_main_process_of_the_reaped_and_of_the_living(
    own: tuple[int, int], children: tuple[int, int], expected: float
) -> None:
    first, last = (
        sample(at_ns, voluntary_switches=10 + alive, child_voluntary_switches=alive)
        for at_ns, alive in zip((1_000_000_000, 3_000_000_000), children, strict=True)
    )
    assert used(first, last, marks(*own)).voluntary_switches_per_s == expected


def test_page_faults_need_no_word_of_the_server() -> None:
    found = used(sample(1_000_000_000, minor_faults=500), sample(3_000_000_000, minor_faults=900, major_faults=4), None)
    assert (found.minor_faults_per_s, found.major_faults_per_s) == (200.0, 2.0)


def test_page_faults_that_ended_with_unreaped_processes_are_not_told() -> None:
    found = used(sample(1_000_000_000, minor_faults=500), sample(3_000_000_000, minor_faults=100), None)
    assert found.minor_faults_per_s is None


def test_descriptors_are_the_more_of_both_edges() -> None:
    for first, last, expected in ((6, 9, 9), (9, 6, 9), (None, 6, 6), (None, None, None)):
        found = used(sample(1, descriptors=first), sample(2, descriptors=last), None)
        assert found.descriptors == expected


def test_memory_was_looked_at_before_the_window_and_after_it() -> None:
    edges = sample(1_000), sample(2_000)
    before, after = look(0, at_ns=500), look(64, at_ns=2_500)
    both = used(*edges, None, (before, after))
    assert (both.idle, both.plateau, both.memory_bytes) == (before, after, after.pss_bytes)
    never = used(*edges, None)
    assert (never.idle, never.plateau, never.memory_bytes) == (None, None, None)
    assert used(*edges, None, (after,)).idle is None
    assert used(*edges, None, (before,)).plateau is None
