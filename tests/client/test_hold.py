"""Held connections: the thin stream goes through all in turn, new ones come, and where it ends is told exactly."""

import asyncio
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from client.books.accounts import Accounts
from client.books.growth import Growth, merged
from client.books.outcome import CLOSED, OK, TIMEOUT
from client.books.records import Log, key_of
from client.config import Config
from client.loads.hold import Newcomers
from client.pace.alarm import Alarm
from client.pace.schedule import WHOLE, growth_at
from client.wire.slot import Slot
from harness.raw import ClientReport
from tests.client.running import checked, run
from tests.client.servers import OK_RESPONSE, Make, Serve, Server, answering, requests_of, running

HOLD: dict[str, Any] = {"kind": "hold", "rate_per_s": 100, "connections": 10, "window_s": 1.0, "warmup_s": 0.2}
MS = 1_000_000


def held_to(most: int, then: Callable[[socket.socket], None]) -> Make:
    """Answer on the first so many connections; what it does with every other one."""

    def make(server: Server) -> Serve:
        taken: list[socket.socket] = []

        def serve(connection: socket.socket) -> None:
            with server.lock:
                taken.append(connection)
                beyond = len(taken) > most
            for _ in requests_of(connection):
                server.count()
                if beyond:
                    then(connection)
                    return
                connection.sendall(OK_RESPONSE)

        return serve

    return make


def hang_up(connection: socket.socket) -> None:
    connection.close()


def be_silent(_: socket.socket) -> None:
    time.sleep(3)


def grown(report: ClientReport) -> dict[str, Any]:
    assert report.growth is not None
    return report.growth.model_dump()


@pytest.mark.slow
def test_the_stream_goes_through_all_connections_in_turn(tmp_path: Path) -> None:
    """100 requests over 10 idle connections: 10 each, as the one free longest is always next."""
    by_connection: dict[socket.socket, int] = {}

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for _ in requests_of(connection):
                server.count()
                with server.lock:
                    by_connection[connection] = by_connection.get(connection, 0) + 1
                connection.sendall(OK_RESPONSE)

        return serve

    with running(make) as server:
        report = checked(run(tmp_path, url=server.url, **{**HOLD, "warmup_s": 0.0}))
    assert report.errors == {}
    assert report.growth is None
    assert sorted(by_connection.values()) == [11] * 10  # with the first request of each
    assert (report.connections_served, report.connections_starved) == (10, 0)


@pytest.mark.slow
@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_new_connections_come_at_their_rate_are_timed_and_join_the_stream(tmp_path: Path, arrivals: str) -> None:
    """50/s for 1.2 s are 60 on top of 10; their first requests are in no count of the stream's."""
    with running(answering(OK_RESPONSE)) as server:
        report = checked(run(tmp_path, url=server.url, **HOLD, growth_per_s=50, arrivals=arrivals))
    assert grown(report) | {"held": 0} == {
        "begun": 60,
        "served": 60,
        "held": 0,
        "first_failed_at": None,
        "failure": None,
    }
    assert 65 <= grown(report)["held"] <= 70  # the last ones may have their answer after the window
    assert report.connections_opened == server.accepted == 70
    assert sum(report.histograms["connect"].values()) == sum(report.histograms["first_byte"].values()) == 70
    assert report.life_ok == server.requests
    assert report.completed_in_window > report.ok
    assert (report.connections_served, report.connections_starved) == (10, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("then", "failure"), [(hang_up, "closed"), (be_silent, "timeout")], ids=["hangs up", "silent"])
def test_where_it_ends_is_told_the_run_goes_on_and_no_new_connection_is_tried_twice(
    tmp_path: Path, then: Callable[[socket.socket], None], failure: str
) -> None:
    """10 connections and 25 more are answered on; the 36th and all later ones are not."""
    with running(held_to(35, then)) as server:
        report = checked(run(tmp_path, url=server.url, **{**HOLD, "timeout_s": 1.0}, growth_per_s=50))
    growth = grown(report)
    assert (growth["begun"], growth["served"]) == (60, 25)
    assert growth["failure"] == failure
    assert 30 <= growth["first_failed_at"] <= 35  # those whose answer was on its way then are not held yet
    assert growth["held"] == 35
    assert server.accepted == 70
    assert report.errors == {}
    assert report.ok == report.intended == report.schedule
    assert report.life_ok == server.requests - 35
    assert report.life_unknown == 35
    in_first_byte = sum(report.histograms["first_byte"].values())
    assert (in_first_byte, report.first_byte_missing) == (35, 35)


class Place:
    """For a new connection that nobody ever answers."""

    held = False

    def __init__(self, begun: list[int]) -> None:
        self._begun = begun

    def record_in(self, log: Log) -> None:
        """Nothing is recorded, as nothing ends."""

    def launch(self, intended_ns: int, now_ns: int) -> None:
        assert intended_ns <= now_ns
        self._begun.append(intended_ns)


def test_while_more_are_due_than_can_be_opened_answers_are_still_read() -> None:
    """1,000 new connections are overdue; what can be read meanwhile is read when a few of them are begun."""
    begun: list[int] = []
    begun_when_read: list[int] = []

    async def live() -> None:
        loop = asyncio.get_running_loop()
        answer, server = socket.socketpair()
        alarm, config = Alarm(loop), Config("http://127.0.0.1:1/", kind="hold", rate_per_s=1.0, growth_per_s=1.0)
        newcomers = Newcomers(
            partial(growth_at, 1e6, WHOLE),
            alarm,
            Accounts(config),
            Growth(),
            open_slot=lambda: cast("Slot", Place(begun)),
            held=lambda: 0,
            stream_first=lambda: None,
        )
        with answer, server:
            server.send(b"answer")
            loop.add_reader(answer, lambda: begun_when_read.append(len(begun)))
            now_ns = time.monotonic_ns()
            newcomers.begin(now_ns - MS, now_ns)
            while newcomers.due:
                await asyncio.sleep(0)
            loop.remove_reader(answer)
        alarm.close()

    asyncio.run(live())
    assert len(begun) == 1_000
    assert any(0 < count < 100 for count in begun_when_read)


@pytest.mark.slow
def test_a_server_that_refuses_new_connections_ends_the_growth_and_not_the_run(tmp_path: Path) -> None:
    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for _ in requests_of(connection):
                if server.count() == 40:
                    server._listener.shutdown(socket.SHUT_RDWR)
                    server._listener.close()
                connection.sendall(OK_RESPONSE)

        return serve

    with running(make) as server:
        report = checked(run(tmp_path, url=server.url, **HOLD, growth_per_s=50))
    growth = grown(report)
    assert growth["begun"] == 60
    assert 0 < growth["served"] < 60
    assert growth["failure"] in ("refused", "reset", "closed")
    assert growth["first_failed_at"] <= growth["served"] + 10
    assert report.ok == report.intended == 100


def part(*firsts: tuple[int, int, int], looks: list[tuple[int, int]]) -> dict[str, Any]:
    """The books of a process: first requests of (begun, ended, ending), ms, and looks of (when, held), ms."""
    books = Growth()
    for begun, ended, ending in firsts:
        for number in (begun * MS, begun * MS, ended * MS, key_of(3, ending) + 100):
            books.firsts.push(number)
    books.firsts.set_aside()
    books.fold(books.firsts.take(1 << 20), 50 * MS)
    for at, held in looks:
        books.look(at * MS, held)
    books.end(looks[-1][1])
    return books.part()


def test_the_first_failure_is_that_of_the_connection_begun_first_and_counted_when_it_was_begun() -> None:
    """The silent one is noticed last: by its deadline, when others have come and failed."""
    one = part((10, 11, OK), (20, 70, TIMEOUT), (30, 31, CLOSED), looks=[(0, 5), (10, 5), (11, 6), (20, 6), (70, 9)])
    assert one["held_from"] == [[0, 5], [11 * MS, 6], [70 * MS, 9]]
    assert merged([one]) == {"begun": 3, "served": 1, "held": 9, "first_failed_at": 6, "failure": "timeout"}


def test_an_answer_after_its_deadline_is_a_failure() -> None:
    assert merged([part((10, 61, OK), looks=[(0, 5)])])["failure"] == "timeout"


def test_over_several_processes_it_is_what_all_held_at_that_instant() -> None:
    """The second process has the first failure, at 25 ms: it held 7 then, the first one 6, the third had not begun."""
    first = part((10, 11, OK), (40, 41, CLOSED), looks=[(0, 5), (11, 6), (40, 8)])
    second = part((25, 75, TIMEOUT), looks=[(0, 5), (15, 7), (30, 9)])
    third = part((40, 41, OK), looks=[(26, 100)])
    assert merged([first, second, third]) == {
        "begun": 4,
        "served": 2,
        "held": 8 + 9 + 100,
        "first_failed_at": 6 + 7,
        "failure": "timeout",
    }


def test_where_all_are_answered_there_is_no_end() -> None:
    assert merged([part((10, 11, OK), looks=[(0, 5)]), part(looks=[(0, 5)])]) == {
        "begun": 1,
        "served": 1,
        "held": 10,
        "first_failed_at": None,
        "failure": None,
    }


@pytest.mark.slow
def test_several_processes_share_growth_and_stream_and_say_together_where_it_ended(tmp_path: Path) -> None:
    """The server answers on 35 connections, whichever process they are of: 10 from the start, and 25 more."""
    with running(held_to(35, hang_up)) as server:
        report = checked(run(tmp_path, url=server.url, **{**HOLD, "window_s": 1.5}, growth_per_s=50, processes=3))
    growth = grown(report)
    assert server.accepted == report.connections_opened == 10 + growth["begun"] == 95
    assert (growth["served"], growth["held"], growth["failure"]) == (25, 35, "closed")
    assert 28 <= growth["first_failed_at"] <= 35
    assert report.errors == {}
    assert report.ok == report.intended == report.schedule == 150


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"lifetime": "per-request"}, "`lifetime` must be keep-alive"),
        ({"growth_per_s": 100_000, "window_s": 60}, "more than 1048574"),
        ({"rate_per_s": None}, "`rate_per_s`"),
        ({"kind": "open", "growth_per_s": 1}, "`growth_per_s` is for `kind: hold`"),
    ],
)
def test_what_cannot_be_held_is_refused_with_the_reason(tmp_path: Path, wrong: dict[str, Any], named: str) -> None:
    ended = run(tmp_path, url="http://127.0.0.1:9/", **{**HOLD, **wrong})
    assert ended.status == 1
    assert named in ended.events[-1]["message"]
