"""What a request and a connection cost: the arithmetic, with every reason not to tell."""

from typing import Any

import pytest

from harness.ledger import cgroup_bytes_per_connection, connection_gini, costs, gini, memory_per_connection_bytes
from harness.raw import MemoryLook, ServerReport
from harness.result import ServiceUsage
from harness.spec.metrics import METRICS
from tests.report.looks import MIB, look
from tests.run.records import client_report, mark, server_report, usage


def server(**after: Any) -> ServerReport:
    """Two marks, 2 s apart, between which 2,000 requests were answered; all counters begin at 7."""
    counters: dict[str, Any] = dict.fromkeys(("connections", "forks", "threads", "wakeups", "accepts"), 7)
    first = mark(1_000_000_000, 501, **counters)
    last = mark(3_000_000_000, 2_501, **{**counters, **after})
    return server_report(marks=(first, last))


def cost(name: str, report: ServerReport | None, renewed: bool = True, **changes: Any) -> float | None:
    return costs(usage(**changes), client_report(), report, renewed=renewed)[name]


def test_every_cost_is_a_metric() -> None:
    named = {name for name in METRICS if name.endswith(("_per_request", "_per_connection"))}
    assert set(costs(None, client_report(), None, renewed=False)) <= named


@pytest.mark.parametrize(
    ("name", "after", "expected"),
    [
        ("forks_per_connection", {"connections": 2_007, "forks": 2_007}, 1.0),
        ("forks_per_connection", {"connections": 2_007}, 0.0),
        ("threads_per_connection", {"connections": 1_007, "threads": 507}, 0.5),
        ("accepts_per_connection", {"connections": 1_007, "accepts": 1_007}, 1.0),
        ("wakeups_per_request", {"wakeups": 507}, 0.25),
        ("wakeups_per_connection", {"connections": 207, "wakeups": 507}, 2.5),
        ("backend_calls_per_request", {"backend_calls": 2_000}, None),  # the first mark does not know them
        ("accept_eagains_per_connection", {"connections": 207}, None),  # nor does any mark
    ],
)
def test_a_counter_is_divided_by_what_was_answered_or_served(
    name: str, after: dict[str, int], expected: float | None
) -> None:
    assert cost(name, server(**after)) == expected


@pytest.mark.parametrize(
    ("connections", "told"),
    [
        (200, True),  # one for every ten requests
        (199, False),  # fewer: requests were paid for
        (0, False),
    ],
)
def test_a_cost_per_connection_needs_connections_that_bear_it(connections: int, told: bool) -> None:
    report = server(connections=7 + connections, forks=7 + connections)
    assert cost("forks_per_connection", report) == (1.0 if told else None)
    assert cost("voluntary_switches_per_connection", report) == (pytest.approx(100 / connections) if told else None)


@pytest.mark.parametrize(("connections", "told"), [(30, True), (29, False)])
def test_a_handful_of_connections_bears_no_cost(connections: int, told: bool) -> None:
    """As at a low rate: 100 requests in the window."""
    marks = (mark(1_000_000_000, 0), mark(3_000_000_000, 100, connections=connections, forks=connections))
    assert (cost("forks_per_connection", server_report(marks=marks)) is not None) is told


def test_what_the_probe_saw_is_a_rate_over_its_own_interval() -> None:
    seen: dict[str, Any] = {"voluntary_switches_per_s": 500.0, "minor_faults_per_s": 2_000.0, "major_faults_per_s": 0.0}
    report = server(connections=1_007)
    assert cost("voluntary_switches_per_request", report, **seen) == 0.5
    assert cost("voluntary_switches_per_connection", report, **seen) == 1.0
    assert cost("minor_faults_per_request", report, **seen) == 2.0
    assert cost("major_faults_per_request", report, **seen) == 0.0
    assert cost("minor_faults_per_request", report) is None


def test_a_server_that_does_not_count_requests_is_taken_at_the_clients_word() -> None:
    marks = tuple(
        mark(at_ns, 0, wakeups=at_ns // 10**6).model_copy(update={"requests": None}) for at_ns in (10**9, 3 * 10**9)
    )
    assert cost("wakeups_per_request", server_report(marks=marks)) == 1.0  # 2,000 in 2 s, as the client's answers


@pytest.mark.parametrize(("renewed", "expected"), [(True, 0.05), (False, None)])
def test_a_server_that_counts_nothing_served_as_many_connections_as_the_client_had_answers_where_each_had_its_own(
    renewed: bool, expected: float | None
) -> None:
    assert cost("voluntary_switches_per_connection", None, renewed) == expected
    assert cost("voluntary_switches_per_request", None, renewed) == 0.05


def test_without_an_answer_there_is_nothing_to_divide_by() -> None:
    told = costs(usage(), client_report(completed_in_window=0, ok=0), None, renewed=True)
    assert set(told.values()) == {None}


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ((5, 5, 5, 5), 0.0),
        ((0, 0, 0, 8), 0.75),  # the most that four can have
        ((1, 3), 0.25),
        ((3, 1), 0.25),
        ((1, 2, 3, 4, 5), pytest.approx(4 / 15)),
        ((7,), None),
        ((), None),
        ((0, 0), None),
    ],
)
def test_gini(shares: tuple[int, ...], expected: float | None) -> None:
    assert gini(shares) == expected


def test_the_spread_over_workers_is_that_at_the_last_mark() -> None:
    marks = (mark(1, 0, connections_by_worker=(4, 0)), mark(2, 0, connections_by_worker=(4, 4)))
    assert connection_gini(server_report(marks=marks)) == 0.0
    assert connection_gini(server_report(marks=())) is None
    assert connection_gini(server_report()) is None
    assert connection_gini(None) is None


def held_usage(idle: MemoryLook | None, plateau: MemoryLook | None) -> ServiceUsage:
    return usage(idle=idle, plateau=plateau)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 40_960 + 3_584),
        ({"socket_structure_bytes": None}, 40_960),  # only root may read their sizes
        ({"socket_queued_bytes": 64 * 1_000}, 40_960 + 3_584 + 1_000),
        ({"kernel_stack_bytes": 65 * 16_384, "threads": 65}, 40_960 + 3_584 + 16_384),
        ({"page_table_bytes": 65_536 + 64 * 8_192}, 40_960 + 3_584 + 8_192),
        ({"pss_bytes": 34 * MIB + 40_960 * 64, "pss_file_bytes": 14 * MIB}, 40_960 + 3_584),  # files are there once
        ({"socket_reserved_bytes": 64 * 8_192}, 40_960 + 3_584),  # set aside is no memory yet
    ],
)
def test_memory_per_connection_adds_up_what_grew(changes: dict[str, Any], expected: float) -> None:
    assert memory_per_connection_bytes(held_usage(look(0), look(64, **changes))) == expected


@pytest.mark.parametrize(
    ("idle", "plateau"),
    [
        (None, look(64)),
        (look(0), None),
        (look(0), look(15)),  # a handful
        (look(50), look(64)),  # others held the rest before
        (look(None), look(64)),
        (look(0), look(None)),  # sockets of another network namespace
        (look(0), look(64, pss_bytes=None)),  # not to be read
        (look(0), look(64, socket_queued_bytes=None)),
        (look(0), look(64, pss_bytes=30 * MIB, socket_structure_bytes=0)),  # no growth
        (look(0), look(64, pss_bytes=30 * MIB + 32_767, socket_structure_bytes=0)),  # within the noise
        (look(0), look(64, pss_bytes=20 * MIB)),
    ],
)
def test_memory_per_connection_is_not_told(idle: MemoryLook | None, plateau: MemoryLook | None) -> None:
    assert memory_per_connection_bytes(held_usage(idle, plateau)) is None


def test_the_cgroups_growth_stands_beside_it_where_there_is_one() -> None:
    containers = held_usage(look(0, cgroup_bytes=50 * MIB), look(64, cgroup_bytes=54 * MIB))
    assert cgroup_bytes_per_connection(containers) == 65_536
    assert cgroup_bytes_per_connection(held_usage(look(0), look(64))) is None
