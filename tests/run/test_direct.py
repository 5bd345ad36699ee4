"""`balancer: direct`: what the clients are told of the servers, and what is made of what they counted of each."""

import pytest

from harness.analysis.breakdown import imbalance, parts_of
from harness.client_service import client_config
from harness.deploy import Reached
from harness.hosts.room import Room
from harness.placement import Machine, place
from harness.proof import Expected
from harness.raw import ServerShare
from harness.spec.experiment import Trial
from tests.run.records import client_report, mark, server_report, trial_result

ADDRESSES = ("10.0.0.1:8080", "10.0.0.2:8080")
DIRECT = Trial.model_validate(
    {"balancer": "direct", "servers": 2, "clients": 2, "load": {"connections": 5, "window": "2 s"}}
)


def share(completed: int) -> ServerShare:
    return ServerShare(connections=5, completed_in_window=completed, failed_in_window=0, life_ok=completed)


def test_every_client_is_told_all_servers_and_where_its_connections_begin() -> None:
    room = Room(open_files=10_000, ports=28_000, memory_bytes=1 << 40)
    hosts = [
        Machine("c1", (0, 1), room, ("client",)),
        Machine("c2", (0, 1), room, ("client",)),
        Machine("s", (0, 1, 2, 3), room, ("server",)),
    ]
    reached = Reached(
        url="http://10.0.0.1:8080/", proving_requests=2, expected=(Expected(200, 128),), addresses=ADDRESSES
    )
    placement = place(DIRECT, hosts)
    configs = [client_config(reached, DIRECT, part=part, everyone=2) for part in placement.clients]
    assert [config.servers for config in configs] == [ADDRESSES] * 2
    assert [(config.first_connection, config.connections) for config in configs] == [(0, 3), (3, 2)]


@pytest.mark.parametrize(("completed", "found"), [((1_500, 500), 1.5), ((1_000, 1_000), 1.0), ((0, 0), None)])
def test_of_servers_that_do_not_count_the_clients_tell_how_even_the_load_was(
    completed: tuple[int, int], found: float | None
) -> None:
    client = client_report(by_server=tuple(share(count) for count in completed))
    result = trial_result(trial=DIRECT, client=client, servers={}, usage={})
    assert imbalance(result) == found
    assert [part.rate_rps for part in parts_of(result)] == [count / 2 for count in completed]


def test_the_servers_own_count_comes_first() -> None:
    marks = (mark(1_000_000_000, 0), mark(3_000_000_000, 600))
    servers = {"server-1": server_report(marks=marks), "server-2": server_report()}
    client = client_report(by_server=(share(1_000), share(1_000)))
    result = trial_result(trial=DIRECT, client=client, servers=servers, usage={})
    assert [part.rate_rps for part in parts_of(result)] == [300.0, 1_000.0]
    assert imbalance(result) == pytest.approx(1_000 / 650)


def test_one_server_is_never_out_of_balance() -> None:
    assert imbalance(trial_result()) is None
