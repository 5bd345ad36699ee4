"""A client of several processes is one client to the outside: its events, its files, its report, its end."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from client.config import Config
from client.crew import shares
from tests.client.running import DEADLINE_S, await_event, checked, client, configure, finish, run, start
from tests.client.servers import CLOSE_RESPONSE, OK_RESPONSE, answering, running, silent

pytestmark = pytest.mark.slow

S = 1_000_000_000


def workers_of(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


def gone_in_time(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, DEADLINE_S)
    return not alive


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_events_are_those_of_one_process(tmp_path: Path, processes: int) -> None:
    with running(answering(OK_RESPONSE)) as server:
        ended = run(tmp_path, url=server.url, connections=7, processes=processes, window_s=0.7)
    report = checked(ended)
    assert ended.names() == ["ready", "started", "drained", "done"]
    assert report.connections_served == report.connections_opened == 7
    started = ended.events[1]
    edges = (report.start_ns, report.window_start_ns, report.window_end_ns)
    assert edges == (started["start_ns"], started["window_start_ns"], started["window_end_ns"])


def test_the_server_counts_what_the_processes_report_together(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        report = checked(run(tmp_path, url=server.url, connections=5, processes=3))
        assert server.accepted == 5
        assert report.life_ok + report.life_unknown == server.requests


def test_connections_are_shared_out_evenly_and_every_process_is_told_of(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        report = checked(run(tmp_path, url=server.url, connections=8, processes=3))
    assert sorted(each.connections for each in report.processes) == [2, 3, 3]
    assert sum(each.cpu_user_s for each in report.processes) == pytest.approx(report.cpu_user_s)


def test_each_process_has_a_cpu_of_its_own_where_there_are_enough(tmp_path: Path) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    for name in ("two", "many"):
        (tmp_path / name).mkdir()
    with running(answering(OK_RESPONSE)) as server:
        two = checked(run(tmp_path / "two", url=server.url, connections=8, processes=2))
        many = checked(run(tmp_path / "many", url=server.url, connections=len(cpus) + 1, processes=len(cpus) + 1))
    assert [each.cpus for each in two.processes] == ([(cpus[0],), (cpus[1],)] if len(cpus) > 1 else [(cpus[0],)] * 2)
    assert [each.cpus for each in many.processes] == [tuple(cpus)] * (len(cpus) + 1)


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_the_schedule_is_shared_out_and_its_parts_are_the_whole(tmp_path: Path, arrivals: str) -> None:
    rate = {"kind": "open", "rate_per_s": 400, "arrivals": arrivals, "window_s": 1.0, "connections": 8}
    with running(answering(OK_RESPONSE)) as server:
        report = checked(run(tmp_path, url=server.url, processes=2, **rate))
    assert report.schedule == report.intended
    if arrivals == "constant":
        assert report.schedule == 400
    else:
        assert 300 < report.schedule < 500  # five standard deviations


def test_a_mix_is_reported_kind_by_kind_over_all_processes(tmp_path: Path) -> None:
    mix = [{"weight": 3, "path": "/often"}, {"weight": 1, "path": "/seldom"}]
    with running(answering(OK_RESPONSE)) as server:
        report = checked(run(tmp_path, url=server.url, connections=4, processes=2, mix=mix))
    assert sum(kind.ok for kind in report.mix) == report.ok


def test_several_rates_are_reported_phase_by_phase_over_all_processes(tmp_path: Path) -> None:
    rates = {"kind": "open", "rates_per_s": [200, 400], "window_s": 1.0, "connections": 4}
    with running(answering(OK_RESPONSE)) as server:
        report = checked(run(tmp_path, url=server.url, processes=2, **rates))
    assert [phase.rate_per_s for phase in report.phases] == [200, 400]
    assert [phase.intended for phase in report.phases] == [100, 200]


def test_growth_is_that_of_all_processes(tmp_path: Path) -> None:
    hold = {"kind": "hold", "rate_per_s": 50, "growth_per_s": 40, "connections": 4, "window_s": 1.0}
    with running(answering(OK_RESPONSE)) as server:
        report = checked(run(tmp_path, url=server.url, processes=2, **hold))
    growth = report.growth
    assert growth is not None
    assert growth.begun == growth.served
    assert growth.held == 4 + growth.begun
    assert growth.first_failed_at is None


def test_ticks_are_sums_and_never_go_back(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        ended = run(tmp_path, url=server.url, connections=5, processes=2, warmup_s=0.1, window_s=1.5)
    ticks = [event for event in ended.events if event["event"] == "tick"]
    assert len(ticks) >= 2
    assert all(tick["connections"] == 5 and tick["errors"] == 0 for tick in ticks)
    for name in ("at_ns", "ok"):
        assert [tick[name] for tick in ticks] == sorted(tick[name] for tick in ticks)
    assert 0 < ticks[-1]["ok"] <= ended.report.life_ok


def test_all_start_when_the_start_file_says(tmp_path: Path) -> None:
    with (
        running(answering(OK_RESPONSE)) as server,
        client(tmp_path, url=server.url, wait_for_start=True, processes=2) as process,
    ):
        await_event(process, "ready")
        start_ns = time.monotonic_ns() + S // 2
        half = tmp_path / "half"
        half.write_text(json.dumps({"start_ns": start_ns}))
        half.replace(tmp_path / "start.json")
        ended = finish(process, tmp_path)
    report = checked(ended)
    assert report.start_ns == start_ns
    assert report.begun_ns is not None
    assert start_ns <= report.begun_ns < report.window_end_ns


def test_no_process_connects_before_it_is_told_and_none_lets_go_before_either(tmp_path: Path) -> None:
    with (
        running(answering(OK_RESPONSE)) as server,
        client(
            tmp_path, url=server.url, connections=3, processes=2, wait_to_connect=True, plateau_s=1_000.0
        ) as process,
    ):
        time.sleep(0.5)
        assert server.open_connections == 0
        (tmp_path / "connect.json").write_text("{}")
        await_event(process, "drained")
        time.sleep(0.1)
        assert server.open_connections == 3
        (tmp_path / "release.json").write_text("{}")
        await_event(process, "done")
        assert process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("after", ["ready", "started"])
def test_whatever_ends_the_first_process_ends_all(tmp_path: Path, number: signal.Signals, after: str) -> None:
    with (
        running(silent) as server,
        client(tmp_path, url=server.url, window_s=60, wait_for_start=after == "ready", processes=2) as process,
    ):
        await_event(process, after)
        workers = workers_of(process)
        assert len(workers) == 2
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == (-number if number == signal.SIGKILL else 128 + number)
        assert gone_in_time(workers)
    assert not (tmp_path / "out" / "client.json").exists()


@pytest.mark.parametrize("after", ["ready", "started"])
def test_a_worker_that_is_killed_ends_the_run_with_one_error_that_names_it(tmp_path: Path, after: str) -> None:
    with (
        running(answering(OK_RESPONSE)) as server,
        client(
            tmp_path, url=server.url, window_s=60, wait_for_start=after == "ready", processes=3, connections=3
        ) as process,
    ):
        await_event(process, after)
        first, second, third = workers_of(process)
        second.kill()
        ended = finish(process, tmp_path)
        assert gone_in_time([first, second, third])
    assert ended.status == 1
    assert ended.names() == ["error"]
    assert ended.events[-1]["message"].startswith(f"client process 2 of 3 (pid {second.pid}) was killed by SIGKILL")
    assert not (tmp_path / "out" / "client.json").exists()


def test_an_error_of_a_worker_is_told_once_with_its_name(tmp_path: Path) -> None:
    ended = run(tmp_path, url="http://127.0.0.1:1/", processes=3, connections=6)
    assert ended.status == 1
    assert ended.names() == ["error"]
    message = ended.events[0]["message"]
    assert message.startswith("client process ")
    assert "of 3: nothing listens at 127.0.0.1:1" in message


def test_a_worker_is_forked_where_there_is_no_thread(tmp_path: Path) -> None:
    """What a thread holds at the fork is held for ever in the child: the libraries must not have made one."""
    with (
        running(answering(OK_RESPONSE)) as server,
        client(tmp_path, url=server.url, wait_for_start=True, processes=2) as process,
    ):
        await_event(process, "ready")
        assert psutil.Process(process.pid).num_threads() == 1


def test_files_are_counted_for_each_process_not_for_all(tmp_path: Path) -> None:
    """500 connections do not fit into a process of 300 files, and do into two."""
    with running(answering(OK_RESPONSE), workers=None) as server:
        for processes, status in ((1, 1), (2, 0)):
            folder = tmp_path / str(processes)
            folder.mkdir()
            configure(
                folder, url=server.url, connections=400, processes=processes, lifetime="per-request", window_s=0.1
            )
            ended = finish(start(folder, open_files=(300, 300)), folder)
            assert ended.status == status
            if status:
                assert "use 2 processes" in ended.events[0]["message"]


def test_a_connection_per_request_works_from_several_processes(tmp_path: Path) -> None:
    with running(answering(CLOSE_RESPONSE, then_close=True)) as server:
        report = checked(run(tmp_path, url=server.url, connections=4, processes=2, lifetime="per-request"))
    assert report.connections_served == 4


def test_more_processes_than_connections_are_an_error(tmp_path: Path) -> None:
    ended = run(tmp_path, url="http://127.0.0.1:1/", processes=3, connections=2)
    assert ended.status == 1
    assert "3 processes cannot share 2 connections" in ended.events[0]["message"]


@pytest.mark.parametrize(
    ("connections", "processes", "parts"),
    [(8, 3, [3, 3, 2]), (6, 6, [1] * 6), (100_000, 6, [16_667] * 4 + [16_666] * 2)],
)
def test_shares_differ_by_one_connection_at_most(connections: int, processes: int, parts: list[int]) -> None:
    given = shares(Config("http://127.0.0.1/", connections=connections, processes=processes))
    assert [each.connections for each in given] == parts
    assert all(each.processes == 1 for each in given)
    assert all(each.connect_rate_per_s == 5_000 for each in given)  # of the whole: each has its places in that order


def test_sources_go_round_over_all_processes_as_over_one() -> None:
    sources: Any = ("a", "b", "c")
    given = shares(Config("http://127.0.0.1/", connections=5, processes=2, sources=sources))
    assert [each.sources for each in given] == [("a", "b", "c"), ("a", "b", "c")]
    given = shares(Config("http://127.0.0.1/", connections=4, processes=2, sources=sources))
    assert [each.sources for each in given] == [("a", "b", "c"), ("c", "a", "b")]
