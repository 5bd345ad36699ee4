"""Connections come from the source addresses given, in turn; on loopback from as many as they need."""

import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from client.config import Config
from client.limits import local_ports, reserved_within
from client.wire.sources import Sources, loopback_sources, settled
from tests.client.certificates import Authority
from tests.client.running import checked, run
from tests.client.servers import CLOSE_RESPONSE, OK_RESPONSE, Make, Serve, Server, answering, running

LOCAL = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


def noting(peers: Counter[str], make: Make) -> Make:
    """Note who connects, and serve as `make` does."""

    def noted(server: Server) -> Serve:
        serve, lock = make(server), threading.Lock()

        def each(connection: socket.socket) -> None:
            with lock:
                peers[connection.getpeername()[0]] += 1
            serve(connection)

        return each

    return noted


@pytest.mark.slow
def test_kept_connections_take_the_sources_in_turn(tmp_path: Path) -> None:
    peers: Counter[str] = Counter()
    with running(noting(peers, answering(OK_RESPONSE))) as server:
        checked(run(tmp_path, url=server.url, connections=8, sources=LOCAL, window_s=0.2))
    assert peers == {"127.0.0.1": 3, "127.0.0.2": 3, "127.0.0.3": 2}


@pytest.mark.slow
def test_a_connection_per_request_goes_through_all_sources_even_from_one_slot(tmp_path: Path) -> None:
    peers: Counter[str] = Counter()
    with running(noting(peers, answering(CLOSE_RESPONSE, then_close=True))) as server:
        checked(run(tmp_path, url=server.url, connections=1, lifetime="per-request", sources=LOCAL, window_s=0.3))
    del peers["127.0.0.1"]  # the question whether anything listens came from there, too
    assert set(peers) == {"127.0.0.2", "127.0.0.3"}
    assert abs(peers["127.0.0.2"] - peers["127.0.0.3"]) <= 1


@pytest.mark.slow
def test_several_processes_share_the_turns(tmp_path: Path) -> None:
    peers: Counter[str] = Counter()
    with running(noting(peers, answering(OK_RESPONSE))) as server:
        checked(run(tmp_path, url=server.url, connections=9, processes=2, sources=LOCAL, window_s=0.2))
    assert peers == dict.fromkeys(LOCAL, 3)


@pytest.mark.slow
def test_tls_connections_come_from_the_sources_too(tmp_path: Path) -> None:
    peers: Counter[str] = Counter()
    authority = Authority.make(tmp_path / "ca")
    with running(noting(peers, answering(OK_RESPONSE)), tls=authority.server("IP:127.0.0.1")) as server:
        checked(
            run(
                tmp_path,
                url=server.url,
                connections=2,
                sources=["127.0.0.9"],
                window_s=0.2,
                tls_authorities=authority.pem.read_text(),
            )
        )
    assert peers["127.0.0.9"] == 2


@pytest.mark.slow
def test_ipv6_connections_come_from_an_ipv6_source(tmp_path: Path) -> None:
    peers: Counter[str] = Counter()
    with running(noting(peers, answering(OK_RESPONSE)), host="::1") as server:
        checked(run(tmp_path, url=server.url, connections=2, sources=["::1"], window_s=0.2))
    assert peers == {"::1": 2}


BAD = {
    "another host's address": (["192.0.2.7"], "192.0.2.7 is not an address of this host"),
    "a name": (["localhost"], "'localhost' is no IP address"),
    "two families": (["127.0.0.1", "::1"], "give addresses of one family"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_source_that_cannot_be_one_is_told_before_anything_connects(
    tmp_path: Path, name: str, processes: int
) -> None:
    sources, said = BAD[name]
    with running(answering(OK_RESPONSE)) as server:
        ended = run(tmp_path, url=server.url, sources=sources, processes=processes)
        assert server.accepted == 0
    assert ended.status == 1
    assert ended.names() == ["error"]
    assert said in ended.events[0]["message"]


@pytest.mark.slow
def test_a_source_of_the_other_family_than_the_server_is_an_error(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        ended = run(tmp_path, url=server.url, sources=["::1"])
    assert ended.status == 1
    assert "cannot resolve '127.0.0.1'" in ended.events[0]["message"]


def test_a_port_is_taken_at_each_address_only_when_it_connects() -> None:
    """Two sockets of one source may share a port towards different servers: bind leaves the choice to connect."""
    sources = Sources(["127.0.0.1"])
    with socket.socket() as made:
        sources.bind(made)
        assert made.getsockname() == ("127.0.0.1", 0)


def test_on_loopback_as_many_addresses_are_taken_as_the_connections_need() -> None:
    assert loopback_sources(20_000, 28_232) == ("127.0.0.1", "127.0.0.2")
    assert len(loopback_sources(100_000, 28_232)) == 8
    assert len(loopback_sources(1_000_000, 28_232)) == 79


def test_far_fewer_connections_than_ports_leave_the_source_to_the_kernel() -> None:
    assert settled(Config("http://127.0.0.1:1/", connections=100)).sources == ()


def test_connections_that_would_crowd_the_ports_take_several_addresses_on_loopback_alone() -> None:
    ports = local_ports()
    assert ports is not None
    assert len(settled(Config("http://127.0.0.1:1/", connections=ports // 2)).sources) == 2
    assert settled(Config("http://192.0.2.1:1/", connections=ports // 2)).sources == ()
    assert settled(Config("http://[::1]:1/", connections=ports // 2)).sources == ()


def test_too_few_ports_off_loopback_are_an_error_with_the_number_of_addresses_that_are_enough(tmp_path: Path) -> None:
    ports = local_ports()
    assert ports is not None
    ended = run(tmp_path, url="http://192.0.2.1:1/", connections=3 * ports, processes=100)
    assert ended.status == 1
    assert f"there are {ports} at each of 1 source address" in ended.events[0]["message"]
    assert "give 3 addresses of this host as `sources`" in ended.events[0]["message"]


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("8080", 0), ("40000", 1), ("32000-32800,40000-40009,60999", 44), ("1-65535", 28_232)]
)
def test_reserved_ports_are_none_to_connect_from(text: str, count: int) -> None:
    assert reserved_within(text + "\n", 32_768, 60_999) == count
