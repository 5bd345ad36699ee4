"""How many processes and addresses a client gets: by the trial and the host's limits, and an error where they do not do."""

from pathlib import Path
from typing import Any

import pytest

from harness.clients import OWN_FILES, another_helps, plan_client
from harness.errors import HostError
from harness.hosts.room import Room, room_of_this_host
from harness.placement import Machine, client_doubts, place
from harness.spec.experiment import Trial
from harness.spec.foreign import ReadyImage, RunningServer
from harness.spec.quantities import Duration, Rate
from harness.spec.traffic import Load

HERE = Room(open_files=20_000, ports=28_232, memory_bytes=20 << 30)
ANYTHING = Room(open_files=None, ports=None, memory_bytes=None)
FAR = RunningServer(url="http://192.0.2.1:80")
NEAR = RunningServer(url="http://127.0.0.1:8080")


def a_trial(connections: int, *, clients: int = 1, model: Any = "reactor", **load: Any) -> Trial:
    return Trial(model=model, clients=clients, load=Load(connections=connections, **load))


@pytest.mark.parametrize(
    ("connections", "clients", "at_least", "processes"),
    [
        (64, 1, 1, 1),
        (64, 3, 1, 3),
        (64, 2, 4, 4),
        (2, 2, 4, 2),  # never more processes than connections
        (19_744, 1, 1, 1),
        (19_745, 1, 1, 2),
        (100_000, 1, 1, 6),
        (100_000, 8, 1, 8),
    ],
)
def test_there_are_as_many_processes_as_asked_for_or_as_the_open_files_need(
    connections: int, clients: int, at_least: int, processes: int
) -> None:
    plan = plan_client(a_trial(connections, clients=clients), HERE, at_least)
    assert plan.processes == processes
    assert HERE.open_files is not None
    assert -(-connections // processes) + OWN_FILES == plan.open_files <= HERE.open_files


def test_connections_that_come_in_the_window_count_too() -> None:
    load: dict[str, Any] = {
        "kind": "hold",
        "rate": Rate.parse("10/s"),
        "growth": Rate.parse("1000/s"),
        "window": Duration.parse("20 s"),
    }
    plan = plan_client(a_trial(10_000, **load), HERE)
    assert plan.processes == 2


def test_where_nothing_is_limited_or_told_nothing_is_added() -> None:
    plan = plan_client(a_trial(1_000_000), ANYTHING)
    assert (plan.processes, plan.sources, plan.doubt) == (1, (), "")


def test_on_loopback_there_are_as_many_addresses_as_the_connections_need() -> None:
    assert plan_client(a_trial(10_000), HERE).sources == ()
    assert plan_client(a_trial(20_000), HERE).sources == ("127.0.0.1", "127.0.0.2")
    assert len(plan_client(a_trial(100_000), HERE).sources) == 8
    assert len(plan_client(a_trial(100_000, model=NEAR), HERE).sources) == 8


def test_addresses_that_the_spec_gives_are_taken_as_they_are() -> None:
    given = ("127.0.0.7", "127.0.0.8", "127.0.0.9", "127.0.0.10")
    assert plan_client(a_trial(100_000, sources=given), HERE).sources == given
    assert plan_client(a_trial(10, sources=given), HERE).sources == given


LACKING: dict[str, tuple[Trial, Room, tuple[str, ...]]] = {
    "ports off loopback": (
        a_trial(60_000, model=FAR),
        HERE,
        ("60,000 connections", "there are 28,232", "list 3 addresses", "each adds 28,232", "ip_local_port_range"),
    ),
    "ports of a bridge": (a_trial(60_000).model_copy(update={"network": "bridge"}), HERE, ("list 3 addresses",)),
    "ports of the addresses given": (
        a_trial(60_000, sources=("127.0.0.1", "127.0.0.2")),
        HERE,
        ("there are 56,464", "at each of 2 source addresses"),
    ),
    "files even over all processes": (
        a_trial(1_000_000),
        Room(open_files=1_024, ports=None, memory_bytes=None),
        ("hard limit here is 1,024", "256 client processes", "ulimit -Hn 4163"),
    ),
    "files for anything at all": (
        a_trial(10),
        Room(open_files=200, ports=None, memory_bytes=None),
        ("hard limit here is 200", "ulimit -Hn 257"),
    ),
    "memory": (
        a_trial(1_000_000),
        Room(open_files=None, ports=None, memory_bytes=1 << 30),
        ("about 11,718 MiB", "1,024 MiB are available"),
    ),
}


@pytest.mark.parametrize("lack", LACKING)
def test_what_the_host_lacks_is_an_error_with_the_numbers_and_the_remedy(lack: str) -> None:
    trial, room, words = LACKING[lack]
    with pytest.raises(HostError) as caught:
        plan_client(trial, room)
    for word in words:
        assert word in str(caught.value)


CHURN: dict[str, Any] = {"lifetime": "per-request", "timeout": Duration.parse("1 s")}


def test_a_server_of_ours_closes_first_so_no_port_waits_at_the_client() -> None:
    plan = plan_client(a_trial(5_000, **CHURN), HERE)
    assert (plan.sources, plan.doubt) == ((), "")


def test_one_of_others_may_leave_closing_to_the_client_and_on_loopback_that_takes_addresses() -> None:
    assert (
        len(plan_client(a_trial(5_000, model=NEAR, **CHURN), HERE).sources) == 25
    )  # (5,000 + 5,000/s · 60 s) / 12,704


def test_off_loopback_that_is_a_doubt_not_an_error_as_most_servers_do_close() -> None:
    placement = place(a_trial(5_000, model=FAR, **CHURN), [Machine("here", (0, 1), HERE)])
    doubts = client_doubts([placement] * 2)
    (doubt,) = doubts
    assert "305,000 ports" in doubt
    assert "each address in `load.sources` adds 28,232" in doubt


def test_a_rate_bounds_how_many_ports_wait() -> None:
    slow = a_trial(5_000, model=FAR, kind="open", rate=Rate.parse("100/s"), **CHURN)
    assert plan_client(slow, HERE).doubt == ""


def test_a_connection_for_many_requests_leaves_few_ports_behind() -> None:
    image = ReadyImage(image="acme/api:1", port=8080)
    load: dict[str, Any] = {
        "kind": "open",
        "rate": Rate.parse("10000/s"),
        "lifetime": 100,
        "timeout": Duration.parse("1 s"),
    }
    assert plan_client(a_trial(5_000, model=image, **load), HERE).sources == ()  # 100 closes a second


@pytest.mark.parametrize(
    ("connections", "processes", "cpus", "helps"),
    [
        (64, 1, 2, True),
        (64, 2, 2, False),
        (64, 3, 2, False),
        (1, 1, 8, False),
        (64, 1, 1, False),
        (999, 256, 999, False),
    ],
)
def test_another_process_helps_where_there_is_a_cpu_and_a_connection_for_it(
    connections: int, processes: int, cpus: int, helps: bool
) -> None:
    assert another_helps(a_trial(connections), processes, cpus) is helps


def test_the_room_of_a_host_is_read_from_its_settings(tmp_path: Path) -> None:
    settings = tmp_path / "proc/sys/net/ipv4"
    settings.mkdir(parents=True)
    (settings / "ip_local_port_range").write_text("32768\t60999\n")
    (settings / "ip_local_reserved_ports").write_text("40000-40009,60999,61000\n")
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    room = room_of_this_host(tmp_path)
    assert (room.ports, room.memory_bytes) == (28_232 - 11, 2 << 20)


def test_a_host_that_tells_nothing_has_no_limits_that_we_know_of(tmp_path: Path) -> None:
    room = room_of_this_host(tmp_path)
    assert (room.ports, room.memory_bytes) == (None, None)
