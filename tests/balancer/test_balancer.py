"""The balancer: what it spreads, what it counts, and what it says of servers that are not well."""

import http.client
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from signal import SIGUSR1
from typing import Any

import pytest

from haproxy.counters import Counters
from harness.balancer import OTHERS, BalancerUp, stop_balancer
from harness.errors import DeployError
from harness.raw import BalancerReport
from tests.balancer.conftest import DEADLINE_S, Balance, Serving, ask, ask_anew, connected, haproxy_in
from tests.client.servers import OK_RESPONSE, Server, answering

REQUESTS = 12
FAST_CHECKS = {"interval": "50 ms", "fall": 2, "rise": 1}


def counted(report: BalancerReport) -> list[int | None]:
    return [server.requests for server in report.servers]


def opened(report: BalancerReport) -> list[int]:
    return [server.connections for server in report.servers]


def test_by_connection_each_connection_goes_to_one_server_in_turn(balance: Balance, serve: Serving) -> None:
    servers = [serve(answering(OK_RESPONSE)) for _ in range(3)]
    with balance("haproxy-tcp", servers, balancing={"check": "off"}) as up:
        for _ in range(3):
            connection = connected(up)
            assert [ask(connection) for _ in range(4)] == [200] * 4
            connection.close()
        report = stop_balancer(up)
    assert [server.requests for server in servers] == [4, 4, 4]
    assert (report.connections, opened(report)) == (3, [1, 1, 1])
    assert (report.requests, counted(report)) == (None, [None] * 3)  # it knows of connections only


def test_by_request_the_requests_of_one_connection_go_to_all_in_turn(balance: Balance, serve: Serving) -> None:
    servers = [serve(answering(OK_RESPONSE)) for _ in range(3)]
    with balance("haproxy-http", servers, balancing={"check": "off"}) as up:
        connection = connected(up)
        assert [ask(connection) for _ in range(REQUESTS)] == [200] * REQUESTS
        connection.close()
        report = stop_balancer(up)
    assert [server.requests for server in servers] == [4, 4, 4]
    assert (report.connections, report.requests, counted(report)) == (1, REQUESTS, [4, 4, 4])


def test_health_checks_are_not_among_what_it_counts(balance: Balance, serve: Serving) -> None:
    servers = [serve(answering(OK_RESPONSE)) for _ in range(2)]
    with balance("haproxy-http", servers, balancing=FAST_CHECKS) as up:
        assert [ask_anew(up) for _ in range(4)] == [200] * 4
        report = stop_balancer(up)
    assert counted(report) == [2, 2]
    checks = [server.requests - 2 for server in servers]
    assert all(1 <= some <= report.checks_most for some in checks)


def test_marks_hold_what_was_counted_until_then(balance: Balance, serve: Serving, tmp_path: Path) -> None:
    servers = [serve(answering(OK_RESPONSE)) for _ in range(2)]
    with balance("haproxy-http", servers, balancing={"check": "off"}) as up:
        haproxy = haproxy_in(tmp_path)
        mark(up, haproxy)
        assert [ask_anew(up) for _ in range(REQUESTS)] == [200] * REQUESTS
        mark(up, haproxy)
        ask_anew(up)
        report = stop_balancer(up)
    assert [mark.requests for mark in report.marks] == [0, REQUESTS]
    assert report.requests == REQUESTS + 1
    first, second = (mark.at_ns for mark in report.marks)
    assert report.started_ns < first < second < report.at_ns


def test_a_server_that_dies_is_journaled_and_gets_nothing_more(
    balance: Balance, serve: Serving, tmp_path: Path
) -> None:
    lasting, dying = serve(answering(OK_RESPONSE)), serve(answering(OK_RESPONSE))
    with balance("haproxy-http", [lasting, dying], balancing=FAST_CHECKS) as up:
        dying.stop()
        deadline = time.monotonic() + DEADLINE_S
        while haproxy_in(tmp_path).states()["server-2"][0] != "DOWN":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert [ask_anew(up) for _ in range(4)] == [200] * 4
        report = stop_balancer(up)
    assert [(event.server, event.state) for event in report.events] == [("server-2", "down")]
    assert "Connection refused" in report.events[0].why
    assert [server.state for server in report.servers] == ["UP", "DOWN"]
    assert counted(report) == [4, 0]


def test_what_is_beyond_per_server_waits_in_the_balancer(balance: Balance, serve: Serving) -> None:
    server = serve(answering(OK_RESPONSE, delay_s=0.3))
    with balance("haproxy-http", [server], balancing={"per_server": 1, "check": "off"}) as up:
        asking = [threading.Thread(target=ask_anew, args=(up,)) for _ in range(3)]
        for one in asking:
            one.start()
        for one in asking:
            one.join(DEADLINE_S)
        report = stop_balancer(up)
    assert (report.requests, report.queued_now) == (3, 0)
    assert report.queue_most == 2
    assert report.servers[0].connections_most == 1


@pytest.mark.parametrize("kind", ["haproxy-tcp", "haproxy-http"])
def test_requests_that_a_frozen_server_let_time_out_keep_nobody_from_the_others(
    kind: str, balance: Balance, serve: Serving
) -> None:
    well = serve(answering(OK_RESPONSE))
    with socket.create_server(
        ("127.0.0.1", 0), backlog=1024
    ) as listener:  # takes connects, as its kernel does, and no more
        frozen = Server(lambda _: None, port=listener.getsockname()[1])
        said: dict[str, Any] = {"load": {"connections": 2}, "balancing": {"check": "off"}}
        with balance(kind, [well, frozen], **said) as up:
            for _ in range(
                2 * (2 + OTHERS + 1)
            ):  # every second one to the frozen server: more than the balancer may hold
                ask_and_leave(up)
            deadline = time.monotonic() + DEADLINE_S
            while asked_with_patience(up) != 200:
                assert time.monotonic() < deadline
            report = stop_balancer(up)
    assert report.connections_most is not None
    assert report.connections_most < report.connections_limit


@pytest.mark.parametrize("kind", ["haproxy-tcp", "haproxy-http"])
def test_a_server_that_is_not_reached_is_told_by_name(
    kind: str, balance: Balance, serve: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.balancer.READY_DEADLINE_S", 0.5)
    gone = serve(answering(OK_RESPONSE))
    gone.stop()
    servers: list[Server] = [serve(answering(OK_RESPONSE)), gone]
    with ExitStack() as up, pytest.raises(DeployError) as caught:
        up.enter_context(balance(kind, servers, balancing=FAST_CHECKS))
    told = str(caught.value).splitlines()[-1]
    assert "it waits for server-2: DOWN" in told
    assert "server-1" not in told


def ask_and_leave(up: BalancerUp) -> None:
    """One request whose answer nobody waits for."""
    connection = connected(up)
    connection.request("GET", "/")
    connection.close()


def asked_with_patience(up: BalancerUp) -> int | None:
    """One request that is given up after a second; the status of the answer, None where there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=1.0)
    try:
        return ask(connection)
    except TimeoutError:
        return None
    finally:
        connection.close()


def mark(up: BalancerUp, haproxy: Counters) -> None:
    """Have it take a mark: HAProxy has been asked once more then, beside the asking of this test."""
    before, asked = taken(haproxy), 1
    up.service.signal(SIGUSR1)
    deadline = time.monotonic() + DEADLINE_S
    while taken(haproxy) <= before + asked:
        asked += 1
        assert time.monotonic() < deadline
        time.sleep(0.02)


def taken(haproxy: Counters) -> int:
    """Connections that HAProxy has taken at all its sockets, this one among them."""
    lines = haproxy.command("show info").splitlines()
    return next(int(line.partition(": ")[2]) for line in lines if line.startswith("CumConns: "))
