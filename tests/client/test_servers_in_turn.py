"""Clients that spread their connections over several servers themselves: in turn, exactly, and counted server by server."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.merging import merged_clients
from harness.raw import ClientReport
from tests.client.running import checked, run
from tests.client.servers import OK_RESPONSE, answering, running
from tests.client.test_clients import together
from tests.models.support import Server, counted, serving

pytestmark = pytest.mark.slow


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[Server]]:
    """Two real servers."""
    with ExitStack() as stack:
        yield [stack.enter_context(serving("reactor", tmp_path / f"server-{number}")) for number in (1, 2)]


def addressed(servers: Sequence[Server]) -> dict[str, Any]:
    addresses = [f"127.0.0.1:{server.port}" for server in servers]
    return {"url": f"http://{addresses[0]}/", "servers": addresses, "window_s": 0.5}


def held_against(servers: Sequence[Server], report: ClientReport) -> list[int]:
    """The connections that each server took; what each answered, and nothing else, the clients have had from it."""
    exits = [server.stop() for server in servers]
    assert [counted(told) for told in exits] == [share.life_ok for share in report.by_server]
    assert sum(share.completed_in_window for share in report.by_server) == report.completed_in_window
    assert sum(share.life_ok for share in report.by_server) == report.life_ok
    assert not report.errors
    return [told.connections or 0 for told in exits]


@pytest.mark.parametrize(
    "load",
    [
        {"kind": "closed"},
        {"kind": "closed", "processes": 2},
        {"kind": "open", "rate_per_s": 400},
    ],
    ids=["closed", "closed-2-processes", "open"],
)
def test_kept_connections_go_to_the_servers_in_turn(tmp_path: Path, two: list[Server], load: dict[str, Any]) -> None:
    report = checked(run(tmp_path, connections=7, **addressed(two), **load))
    assert [share.connections for share in report.by_server] == [4, 3]
    assert held_against(two, report) == [4, 3]


def test_the_spread_is_even_over_all_clients_and_their_processes(tmp_path: Path, two: list[Server]) -> None:
    """Processes of 2, 1, 1 and 1 connections: each by itself would begin with the first server, and give it all but one."""
    whole = {**addressed(two), "all_processes": 4}
    parts = together(
        tmp_path,
        [
            {**whole, "connections": 3, "processes": 2},
            {**whole, "connections": 2, "processes": 2, "first_process": 2, "first_connection": 3},
        ],
    )
    assert [[share.connections for share in part.by_server] for part in parts] == [[2, 1], [1, 1]]
    assert held_against(two, merged_clients(parts)) == [3, 2]


def test_a_place_stays_with_its_server_however_often_its_connection_is_new(tmp_path: Path, two: list[Server]) -> None:
    report = checked(run(tmp_path, connections=2, lifetime="per-request", **addressed(two)))
    first, second = report.by_server
    assert (first.connections, second.connections) == (1, 1)
    taken = held_against(two, report)
    assert taken == [share.life_ok + 1 for share in (first, second)]  # and one that asked whether anybody listens


def test_a_server_that_is_down_fails_its_own_share_and_no_other(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as up, running(answering(OK_RESPONSE)) as down:
        servers = [f"127.0.0.1:{server.port}" for server in (up, down)]
        down.stop()
        report = checked(run(tmp_path, url=up.url, servers=servers, connections=2))
    first, second = report.by_server
    assert first.life_ok == report.life_ok > 0
    assert (first.failed_in_window, second.life_ok) == (0, 0)
    assert second.failed_in_window > 0


def test_without_servers_there_is_one_and_it_is_not_counted_apart(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        assert checked(run(tmp_path, url=server.url)).by_server == ()


@pytest.mark.parametrize("servers", ["127.0.0.1:80", ["127.0.0.1"], ["http://127.0.0.1:80"], [80], ["::1:80"]])
def test_what_is_no_address_with_a_port_is_refused(tmp_path: Path, servers: object) -> None:
    ended = run(tmp_path, url="http://127.0.0.1:9/", servers=servers)
    assert ended.status != 0
    assert "`servers` must be a list of addresses with ports" in ended.events[-1]["message"]


def test_a_port_beyond_all_is_refused_with_the_server(tmp_path: Path) -> None:
    ended = run(tmp_path, url="http://127.0.0.1:9/", servers=["127.0.0.1:99999"])
    assert ended.status != 0
    assert "servers: '127.0.0.1:99999'" in ended.events[-1]["message"]
