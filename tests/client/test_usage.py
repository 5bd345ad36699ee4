"""What a client tells of itself: one entry per process, with what the kernel says of it."""

import os
import resource
from pathlib import Path

import pytest

from client.books.usage import Use, entry, memory_bytes
from tests.client.running import checked, run
from tests.client.servers import CLOSE_RESPONSE, OK_RESPONSE, answering, running


def test_memory_grows_by_what_is_written_to() -> None:
    before = memory_bytes()
    ballast = bytearray(b"x") * (32 << 20)
    grown = memory_bytes() - before
    assert len(ballast) <= grown + (1 << 20)
    assert grown < 2 * len(ballast)


def test_use_is_that_of_the_span_between_two_looks() -> None:
    before = Use.now()
    while resource.getrusage(resource.RUSAGE_SELF).ru_utime < before.user_s + 0.05:
        pass
    used = Use.now().since(before)
    assert used.user_s >= 0.05
    assert used.system_s >= 0
    assert used.delay_s is None or used.delay_s >= 0


@pytest.mark.parametrize(
    ("connections", "growth", "told"), [(1_000, 5_000_000, 5_000.0), (63, 5_000_000, None), (1_000, None, None)]
)
def test_memory_per_connection_is_told_of_enough_of_them(
    connections: int, growth: int | None, told: float | None
) -> None:
    found = entry(Use(1.0, 2.0, None), connections, growth)
    assert found["bytes_per_connection"] == told
    assert found["run_delay_s"] is None


@pytest.mark.slow
def test_a_report_has_an_entry_of_its_process(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        report = checked(run(tmp_path, url=server.url, connections=100))
    (process,) = report.processes
    assert set(process.cpus) == os.sched_getaffinity(0)
    assert process.connections == 100
    assert (process.cpu_user_s, process.cpu_system_s) == (report.cpu_user_s, report.cpu_system_s)
    assert process.bytes_per_connection is not None
    assert 500 < process.bytes_per_connection < 50_000


@pytest.mark.slow
def test_with_a_connection_per_request_none_has_a_size(tmp_path: Path) -> None:
    with running(answering(CLOSE_RESPONSE, then_close=True)) as server:
        report = checked(run(tmp_path, url=server.url, connections=100, lifetime="per-request"))
    assert report.processes[0].bytes_per_connection is None
