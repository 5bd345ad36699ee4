"""Connections that carry a number of requests and are then given up for new ones."""

import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from harness.histogram import bounds_of
from tests.client.certificates import Authority
from tests.client.running import checked, run
from tests.client.servers import CLOSE_RESPONSE, OK_RESPONSE, Make, Serve, Server, requests_of, running

pytestmark = pytest.mark.slow

CLOSED: dict[str, object] = {}
OPEN: dict[str, object] = {"kind": "open", "rate_per_s": 300}
N = 5


class Carried:
    """How many requests each ended connection carried, whether the last said so, and who ended it."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.said_close: Counter[int] = Counter()  # the number of the request, on its connection, that said it
        self.closed_first: Counter[str] = Counter()

    def serving(self, *, early_after: int | None = None, answers_close: bool = True) -> Make:
        """Answer and close when asked to, or without being asked after so many; or leave the closing to the client."""

        def make(server: Server) -> Serve:
            def serve(connection: socket.socket) -> None:
                count, ended = 0, "client"
                for request in requests_of(connection):
                    server.count()
                    count += 1
                    close = b"\r\nConnection: close\r\n" in request
                    with server.lock:
                        self.said_close[count] += close
                    connection.sendall(CLOSE_RESPONSE if close and answers_close else OK_RESPONSE)
                    if (close and answers_close) or count == early_after:
                        ended = "server"
                        break
                with server.lock:
                    self.counts[count] += 1
                    self.closed_first[ended] += 1

            return serve

        return make


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("lifetime") / "authority")


@pytest.mark.parametrize("kind", [CLOSED, OPEN], ids=["closed", "open"])
@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
def test_each_connection_carries_so_many_and_the_server_closes_it(
    tmp_path: Path, authority: Authority, kind: dict[str, object], secured: bool
) -> None:
    carried = Carried()
    tls = authority.server("IP:127.0.0.1") if secured else None
    trusted = {"tls_authorities": authority.pem.read_text()} if secured else {}
    with running(carried.serving(), tls=tls) as server:
        report = checked(run(tmp_path, url=server.url, lifetime=N, connections=3, timeout_s=5.0, **kind, **trusted))
    assert report.errors == {}
    assert report.ok > N
    assert report.life_ok == server.requests
    assert report.connections_opened == server.accepted
    assert (report.connections_lost, report.connections_unclosed) == (0, 0)
    assert {number for number, count in carried.said_close.items() if count} == {N}
    asked_who_is_there = int(secured)
    whole = carried.counts[N]
    assert whole > 0
    assert sum(count * times for count, times in carried.counts.items()) == report.life_ok
    assert sum(carried.counts[count] for count in range(1, N)) <= 3  # those that were under way at the end
    assert carried.counts[0] <= asked_who_is_there
    assert carried.closed_first["server"] == whole


def test_a_request_that_opens_its_connection_counts_from_the_intended_connect(tmp_path: Path) -> None:
    """Every connection's first answer comes 100 ms late; of five requests one waits for that."""

    def make(server: Server) -> Serve:
        serve = Carried().serving()(server)

        def late(connection: socket.socket) -> None:
            threading.Event().wait(0.1)
            serve(connection)

        return late

    with running(make) as server:
        report = checked(
            run(tmp_path, url=server.url, lifetime=N, connections=2, kind="open", rate_per_s=40, window_s=2.0)
        )
    slow = sum(count for index, count in report.histograms["response"].items() if bounds_of(index)[1] >= 90_000_000)
    assert report.errors == {}
    assert report.ok == 80
    assert slow >= 80 // N - 2


@pytest.mark.parametrize("kind", [CLOSED, OPEN], ids=["closed", "open"])
def test_a_server_that_ends_them_earlier_loses_them_and_a_new_one_carries_as_many(
    tmp_path: Path, kind: dict[str, object]
) -> None:
    carried = Carried()
    with running(carried.serving(early_after=2)) as server:
        report = checked(run(tmp_path, url=server.url, lifetime=N, connections=2, **kind))
    assert report.ok > 0
    assert (report.connections_lost or 0) > 0
    assert report.connections_opened == server.accepted
    assert not carried.said_close[N]
    assert set(report.errors) <= {"closed", "reset"}


def test_where_the_server_does_not_close_the_client_does_at_the_deadline(tmp_path: Path) -> None:
    carried = Carried()
    with running(carried.serving(answers_close=False)) as server:
        report = checked(run(tmp_path, url=server.url, lifetime=2, connections=2, timeout_s=0.1))
    assert report.errors == {}
    assert report.ok > 2
    assert report.connections_lost == 0
    assert (report.connections_unclosed or 0) > 0
    assert carried.counts[2] > 0
    assert carried.closed_first["server"] == 0


def test_a_window_in_which_all_wait_for_the_server_to_close_says_so(tmp_path: Path) -> None:
    with running(Carried().serving(answers_close=False)) as server:
        report = checked(
            run(tmp_path, url=server.url, lifetime=2, connections=3, warmup_s=0.5, window_s=0.3, timeout_s=2.0)
        )
    assert report.intended == 0
    assert (report.connections_served, report.connections_starved, report.connections_unclosed) == (0, 0, 3)


@pytest.mark.parametrize("ends", ["closed", "reset"])
def test_a_last_request_that_is_not_answered_is_an_error_and_no_connection_lost(tmp_path: Path, ends: str) -> None:
    """It asked for the connection to be closed: what was not to be kept is not lost."""

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for request in requests_of(connection):
                server.count()
                if b"\r\nConnection: close\r\n" in request:
                    if ends == "reset":
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    return
                connection.sendall(OK_RESPONSE)

        return serve

    with running(make) as server:
        report = checked(run(tmp_path, url=server.url, lifetime=3, connections=2))
    assert report.ok > 0
    assert set(report.errors) == {ends}
    assert report.connections_lost == 0
