"""What the status pages of real servers say agrees with what was asked of them, to the last request."""

import time
from collections.abc import Iterator
from signal import SIGUSR1

import pytest

from harness.conformance.bench import Server, wait_until
from harness.conformance.footprint import Footprint, footprint
from harness.conformance.messages import GET, GET_AND_CLOSE, require_right
from harness.deploy import stop_and_report
from harness.raw import ServerReport
from tests.servers.conftest import Serve

pytestmark = [pytest.mark.docker, pytest.mark.slow]
PATIENCE_S = 30.0
SETTLED_S = 1.0


def hold(server: Server, count: int) -> Iterator[None]:
    """So many connections, each with one request answered."""
    for _ in range(count):
        require_right(server.connect().ask(GET), None, GET)
        yield


def stopped(server: Server) -> ServerReport:
    report = stop_and_report(server.service, exact=True, stop=server.stop_signal)
    assert report is not None
    return report


def look(server: Server) -> Footprint:
    found = footprint(server.service.main_pid)
    assert found is not None
    return found


def mark(server: Server) -> None:
    """Take one when the last answer has been counted, and let it be taken: two signals that come together are one."""
    time.sleep(SETTLED_S)
    server.service.signal(SIGUSR1)
    time.sleep(SETTLED_S)


@pytest.mark.parametrize("mpm", ["prefork", "worker", "event"])
def test_apache_counts_every_request_but_its_own_and_ours(serve: Serve, mpm: str) -> None:
    with serve("apache", mpm=mpm) as server:
        connections = [server.connect() for _ in range(3)]
        mark(server)
        for connection in connections:
            for _ in range(5):
                require_right(connection.ask(GET), None, GET)
        mark(server)
        server.close_all()
        for _ in range(4):
            require_right(server.ask_once(GET_AND_CLOSE), None, GET_AND_CLOSE)
        report = stopped(server)
    proved = server.proving_requests
    assert [found.requests for found in report.marks] == [proved, proved + 15]
    assert (report.requests, report.connections) == (proved + 19, None)
    assert (report.program or "").startswith("Apache/2.4")


def test_the_requests_by_which_prefork_ends_its_idle_children_are_no_clients(serve: Serve) -> None:
    with serve("apache", mpm="prefork", max_spare_servers=6) as server:
        for _ in hold(server, 20):
            pass
        most = look(server).processes
        server.close_all()
        assert wait_until(lambda: look(server).processes <= most - 3, PATIENCE_S)
        report = stopped(server)
    assert report.requests == server.proving_requests + 20


@pytest.mark.parametrize(
    ("options", "wall"),
    [
        ({"mpm": "prefork", "max_request_workers": 7}, 7),
        ({"mpm": "worker", "threads_per_child": 3, "max_request_workers": 6}, 6),
    ],
    ids=["prefork", "worker"],
)
def test_held_connections_end_at_the_wall_that_the_options_make(
    serve: Serve, options: dict[str, str | int], wall: int
) -> None:
    with serve("apache", **options, keep_alive_timeout=600, accept_filter="none") as server:
        held = [server.connect() for _ in range(wall)]
        for connection in held:
            require_right(connection.ask(GET), None, GET)
        beyond = server.connect()  # by the kernel: it waits in the queue
        beyond.send(GET_AND_CLOSE)
        assert beyond.is_silent(1.5)
        mark(server)  # nobody is left to tell; the look waits behind the other
        held[0].close()
        require_right(beyond.answer(), None, GET_AND_CLOSE)
        server.close_all()
        report = stopped(server)
    assert [found.requests for found in report.marks] == [None]
    assert report.requests == server.proving_requests + wall + 1


def test_event_holds_more_than_it_has_workers(serve: Serve) -> None:
    amounts = {"threads_per_child": 4, "server_limit": 2, "max_request_workers": 8, "min_spare_threads": 4}
    with serve("apache", mpm="event", **amounts, keep_alive_timeout=600) as server:
        assert sum(1 for _ in hold(server, 12)) == 12


def test_processes_and_threads_of_apache_are_seen(serve: Serve) -> None:
    """Launcher and parent, and what the options ask for."""
    with serve("apache", mpm="prefork", start_servers=8, min_spare_servers=8, max_spare_servers=20) as server:
        assert wait_until(lambda: look(server).processes == 2 + 8, PATIENCE_S)
    with serve("apache", mpm="worker", start_servers=2, threads_per_child=10, min_spare_threads=10) as server:
        assert wait_until(lambda: look(server).processes == 2 + 2, PATIENCE_S)
        assert wait_until(lambda: look(server).threads == 2 * (10 + 1), PATIENCE_S)  # and one that accepts


@pytest.mark.parametrize("options", [{}, {"workers": 3, "reuseport": True}], ids=["one", "three"])
def test_nginx_counts_connections_and_requests(serve: Serve, options: dict[str, int | bool]) -> None:
    with serve("nginx", **options) as server:
        for _ in hold(server, 12):
            pass
        mark(server)
        server.close_all()
        for _ in range(4):
            require_right(server.ask_once(GET_AND_CLOSE), None, GET_AND_CLOSE)
        assert look(server).processes == 2 + int(options.get("workers", 1))
        report = stopped(server)
    proved = server.proving_requests
    assert [(found.requests, found.connections) for found in report.marks] == [(proved + 12, proved + 12)]
    assert (report.requests, report.connections) == (proved + 16, proved + 16)
    assert (report.program or "").startswith("nginx/1.")
