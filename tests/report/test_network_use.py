"""From the probe's looks at a network namespace, at limits and at waiting to what a trial's record says of them."""

from typing import Any

import pytest

from harness.raw import NetworkLook, ProbeReport, Sample
from harness.result import ServiceUsage
from harness.usage import client_usage, network_use, usage_of
from tests.report.test_usage import sample
from tests.run.records import WINDOW_NS, client_report

START_NS, END_NS = 1_000_000_000, 3_000_000_000
AT_REST = dict.fromkeys(
    (
        "listen_overflows",
        "listen_drops",
        "syn_drops",
        "syn_cookies",
        "retransmits",
        "resets_sent",
        "time_wait",
        "orphans",
    ),
    0,
)


def seen(at_ns: int, **changes: Any) -> NetworkLook:
    return NetworkLook.model_validate({**AT_REST, "at_ns": at_ns, **changes})


def test_counters_are_those_of_the_time_between_the_looks_nearest_to_the_edges() -> None:
    looks = [
        seen(400_000_000, listen_overflows=1),
        seen(START_NS + 5_000_000, listen_overflows=10, retransmits=100),
        seen(2_000_000_000, listen_overflows=15, retransmits=130),
        seen(END_NS + 5_000_000, listen_overflows=17, listen_drops=3, syn_drops=2, syn_cookies=4, retransmits=150),
        seen(9_000_000_000, listen_overflows=99),
    ]
    use = network_use(looks, START_NS, END_NS)
    assert use is not None
    assert (use.interval_s, use.listen_overflows, use.listen_drops) == (2.0, 7, 3)
    assert (use.syn_drops, use.syn_cookies, use.retransmits) == (2, 4, 50)


def test_a_queue_is_told_by_all_looks_of_the_window_and_only_by_those() -> None:
    queues = [
        (400_000_000, 99),
        (START_NS, 0),
        (1_500_000_000, 8),
        (2_000_000_000, 0),
        (END_NS, 4),
        (5_000_000_000, 99),
    ]
    use = network_use([seen(at, accept_queue=queue, accept_queue_limit=128) for at, queue in queues], START_NS, END_NS)
    assert use is not None
    assert (use.accept_queue, use.accept_queue_most, use.accept_queue_waiting) == (3.0, 8, 0.5)
    assert use.accept_queue_limit == 128


def test_a_look_that_saw_no_queue_counts_for_nothing_and_none_at_all_is_not_zero() -> None:
    looks = [seen(START_NS, accept_queue=6), seen(2_000_000_000), seen(END_NS, accept_queue=0)]
    some = network_use(looks, START_NS, END_NS)
    none = network_use([seen(START_NS), seen(END_NS)], START_NS, END_NS)
    assert some is not None
    assert none is not None
    assert (some.accept_queue, some.accept_queue_waiting) == (3.0, 0.5)
    assert (none.accept_queue, none.accept_queue_most, none.accept_queue_waiting) == (None, None, None)


def test_sockets_in_time_wait_are_the_most_that_were_seen() -> None:
    looks = [seen(START_NS, time_wait=5), seen(2_000_000_000, time_wait=900), seen(END_NS, time_wait=20)]
    use = network_use(looks, START_NS, END_NS)
    assert use is not None
    assert use.time_wait == 900


@pytest.mark.parametrize(
    ("received", "sent", "link", "share"),
    [(100, 250, 1_000, 0.125), (500, 0, 1_000, 0.25), (500, 0, None, None), (0, 0, 1_000, 0.0)],
)
def test_a_link_is_as_full_as_its_busier_direction(
    received: int, sent: int, link: int | None, share: float | None
) -> None:
    before = seen(START_NS, bytes_received=7, bytes_sent=7, link_bytes_per_s=link)
    after = seen(END_NS, bytes_received=7 + received, bytes_sent=7 + sent, link_bytes_per_s=link)
    use = network_use([before, after], START_NS, END_NS)
    assert use is not None
    assert use.link_share == share


@pytest.mark.parametrize("looks", [[], [seen(START_NS)], [seen(START_NS), seen(START_NS)]])
def test_without_two_looks_nothing_is_told(looks: list[NetworkLook]) -> None:
    assert network_use(looks, START_NS, END_NS) is None


def used(first: Sample, last: Sample, **report: Any) -> ServiceUsage:
    found = usage_of(
        ProbeReport(samples={}, edges={"server": (first, last)}, host=(), **report), "server", cores=2, server=None
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("before", "after", "share"), [(1.0, 3.0, 0.5), (1.0, 1.0, 0.0), (3.0, 1.0, None), (None, 1.0, None)]
)
def test_waiting_for_a_cpu_is_a_share_of_time_and_cores_and_not_told_where_it_fell(
    before: float | None, after: float | None, share: float | None
) -> None:
    """A sum over live tasks falls when those that waited have ended."""
    found = used(sample(START_NS, run_delay_s=before), sample(END_NS, run_delay_s=after))
    assert found.run_delay_share == share


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [((90, 100), (500, 1000), (90, 100)), ((500, 1000), (90, 100), (90, 100)), ((None, None), (3, 64), (3, 64))],
)
def test_the_fullest_process_is_that_of_the_edge_that_was_closer_to_a_limit(
    first: tuple[int | None, int | None], last: tuple[int, int], expected: tuple[int, int]
) -> None:
    edges = [
        sample(at_ns, fullest_descriptors=open_, descriptor_limit=limit)
        for at_ns, (open_, limit) in ((START_NS, first), (END_NS, last))
    ]
    found = used(*edges)
    assert (found.fullest_descriptors, found.descriptor_limit) == expected


def test_a_memory_limit_is_hit_in_the_interval_and_kills_are_all_there_were() -> None:
    first = sample(START_NS, memory_limit_bytes=4096, memory_limit_hits=5, oom_kills=1)
    last = sample(END_NS, memory_limit_bytes=4096, memory_limit_hits=9, oom_kills=2)
    found = used(first, last)
    assert (found.memory_limit_bytes, found.memory_limit_hits, found.oom_kills) == (4096, 4, 2)
    unknown = used(sample(START_NS), sample(END_NS))
    assert (unknown.memory_limit_bytes, unknown.memory_limit_hits, unknown.oom_kills) == (None, None, None)


def test_a_service_has_the_use_of_its_own_namespace() -> None:
    looks = (seen(START_NS, listen_overflows=1), seen(END_NS, listen_overflows=4))
    edges = sample(START_NS), sample(END_NS)
    found = used(*edges, network={"server": looks, "client": (seen(START_NS), seen(END_NS))})
    assert found.network is not None
    assert found.network.listen_overflows == 3
    assert used(*edges).network is None


def process(run_delay_s: float | None) -> dict[str, Any]:
    return {"cpus": (0,), "connections": 5, "cpu_user_s": 0.1, "cpu_system_s": 0.1, "run_delay_s": run_delay_s}


@pytest.mark.parametrize(
    ("delays", "share", "processes"),
    [([0.5, 1.5], 0.5, 2), ([0.5, None], None, 2), ([], None, 1)],
)
def test_the_client_waited_on_average_over_its_processes_or_it_is_not_told(
    delays: list[float | None], share: float | None, processes: int
) -> None:
    report = client_report(processes=tuple(process(delay_s) for delay_s in delays))
    looks = (
        seen(report.window_start_ns, time_wait=3),
        seen(report.window_end_ns, time_wait=28_000),
    )
    found = client_usage(ProbeReport(samples={}, edges={}, network={"client": looks}, host=()), report, cores=2)
    assert (found.run_delay_share, found.processes) == (share, processes)
    assert (found.interval_s, found.cores) == (WINDOW_NS / 1e9, 2)
    assert found.network is not None
    assert (found.network.time_wait, found.network.accept_queue) == (28_000, None)
