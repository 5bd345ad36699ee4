"""The client against servers of known behaviour: what it counts is what happened."""

import socket
import threading
import time
from pathlib import Path

import pytest

from harness.histogram import bounds_of, percentile
from tests.client.running import await_event, checked, client, finish, run
from tests.client.servers import (
    CLOSE_RESPONSE,
    OK_RESPONSE,
    Serve,
    Server,
    answering,
    requests_of,
    resetting,
    running,
    silent,
)

CLOSED = {"kind": "closed"}
OPEN = {"kind": "open", "rate_per_s": 200}
KEPT = {"lifetime": "keep-alive"}
FRESH = {"lifetime": "per-request"}
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", [CLOSED, OPEN], ids=["closed", "open"])
@pytest.mark.parametrize("lifetime", [KEPT, FRESH], ids=["keep-alive", "per-request"])
def test_against_a_right_server_every_request_is_counted_on_both_sides(
    tmp_path: Path, kind: dict[str, object], lifetime: dict[str, object]
) -> None:
    once = lifetime is FRESH
    with running(answering(CLOSE_RESPONSE if once else OK_RESPONSE, then_close=once)) as server:
        report = checked(run(tmp_path, url=server.url, **kind, **lifetime))
    assert report.errors == {}
    assert report.ok > 0
    assert report.life_unknown == 0
    assert report.life_ok == server.requests
    assert report.connections_opened == server.accepted
    assert (report.connections_served, report.connections_starved) == (2, 0)


@pytest.mark.parametrize("lifetime", [KEPT, FRESH], ids=["keep-alive", "per-request"])
def test_first_bytes_and_connects_are_timed_for_every_connection_opened(
    tmp_path: Path, lifetime: dict[str, object]
) -> None:
    with running(
        answering(CLOSE_RESPONSE if lifetime is FRESH else OK_RESPONSE, then_close=lifetime is FRESH)
    ) as server:
        report = checked(run(tmp_path, url=server.url, connections=3, **CLOSED, **lifetime))
    expected = report.intended if lifetime is FRESH else 3
    assert sum(report.histograms["first_byte"].values()) == expected
    assert sum(report.histograms["connect"].values()) == expected


@pytest.mark.parametrize("kind", [CLOSED, OPEN], ids=["closed", "open"])
def test_kept_connections_without_a_first_answer_are_missing_and_not_forgotten(
    tmp_path: Path, kind: dict[str, object]
) -> None:
    """A pool of 3 for 5 connections that wait longer than the run: one attempt each, 3 with a first byte."""
    with running(answering(OK_RESPONSE), workers=3) as server:
        report = checked(run(tmp_path, url=server.url, connections=5, timeout_s=4.0, warmup_s=0, **kind, **KEPT))
    assert sum(report.histograms["first_byte"].values()) == 3
    assert report.first_byte_missing == 2
    assert (sum(report.histograms["connect"].values()), report.connect_missing) == (5, 0)


@pytest.mark.parametrize("ending", ["silent", "resetting", "refusing"])
@pytest.mark.parametrize("kind", [CLOSED, OPEN], ids=["closed", "open"])
def test_with_a_connection_per_request_every_request_without_an_answer_misses_its_first_byte(
    tmp_path: Path, kind: dict[str, object], ending: str
) -> None:
    """Which of them missed the connect as well depends on the server; that both add up is in `checked`."""
    settings = {"timeout_s": 0.3, "connections": 3, "window_s": 1.0, "warmup_s": 0.0, **kind, **FRESH}
    with (
        running(resetting if ending == "resetting" else silent) as server,
        client(tmp_path, url=server.url, wait_for_start=True, **settings) as process,
    ):
        await_event(process, "ready")
        if ending == "refusing":
            server.stop()
        (tmp_path / "half").write_text('{"start_ns": 0}')
        (tmp_path / "half").replace(tmp_path / "start.json")
        report = checked(finish(process, tmp_path))
    assert report.ok == 0
    assert report.first_byte_missing == report.intended > 0
    refused, gave_up = report.errors.get("refused", 0), report.errors.get("connect-timeout", 0)
    assert report.connect_missing == refused + gave_up
    assert (refused > 0) == (ending == "refusing")


def test_connections_are_opened_at_the_rate_asked_for(tmp_path: Path) -> None:
    """Bounded from below only: the tenth of ten at 20 a second is not intended before 0.45 s have gone."""
    with running(answering(OK_RESPONSE)) as server:
        began = time.monotonic()
        with client(tmp_path, url=server.url, connections=10, connect_rate_per_s=20) as process:
            await_event(process, "ready")
    assert time.monotonic() - began >= 0.45


def test_an_open_loop_sends_what_the_schedule_says_and_notes_the_lag_of_each(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        report = checked(run(tmp_path, url=server.url, kind="open", rate_per_s=300, window_s=1.0))
    assert report.intended == report.schedule == 300
    assert sum(report.histograms["send_lag"].values()) == report.sent
    assert report.completed_in_window <= 300 + report.life_ok - report.ok


def test_a_known_delay_is_what_is_measured(tmp_path: Path) -> None:
    """Bounds are one-sided: an answer cannot come before its delay, whatever else the machine does."""
    with running(answering(OK_RESPONSE, delay_s=0.1)) as server:
        report = checked(run(tmp_path, url=server.url, connections=20, kind="open", rate_per_s=50, window_s=1.0))
    response = percentile(report.histograms["response"], 50)
    assert response is not None
    assert response >= 0.1e9 * (1 - 1 / 1024)
    assert report.in_flight_integral_s >= 0.1 * report.completed_in_window * 0.8


def test_waiting_for_a_free_connection_is_response_time_and_not_send_lag(tmp_path: Path) -> None:
    """One connection, 0.1 s a request, 20 a second asked for: the queue grows, by the server's doing."""
    with running(answering(OK_RESPONSE, delay_s=0.1)) as server:
        report = checked(
            run(
                tmp_path,
                url=server.url,
                connections=1,
                kind="open",
                rate_per_s=20,
                warmup_s=0,
                window_s=1.0,
                timeout_s=10,
            )
        )
    assert report.ok == 20
    response, service = report.histograms["response"], report.histograms["service"]
    late = percentile(response, 95, beyond=1)
    assert late is not None
    assert late > 5 * (percentile(service, 5, beyond=1) or 0) > 0
    waited = percentile(report.histograms["send_lag"], 50)
    assert waited is not None
    assert waited < 0.05e9  # of the queued ones it is nothing at all, though they waited for up to a second


def test_what_never_gets_a_connection_is_unsent_and_still_counted(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE, delay_s=0.2)) as server:
        report = checked(
            run(tmp_path, url=server.url, connections=1, kind="open", rate_per_s=50, window_s=1.0, timeout_s=0.5)
        )
    assert report.intended == 50
    assert report.errors["unsent"] > 0
    assert report.sent == report.intended - report.errors["unsent"] - report.errors.get("connect-timeout", 0)


def test_connections_beyond_the_workers_of_a_blocking_server_starve_and_are_named(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE), workers=8) as server:
        report = checked(run(tmp_path, url=server.url, connections=12, timeout_s=1.5, **CLOSED, **KEPT))
    assert (report.connections_served, report.connections_starved) == (8, 4)
    assert report.in_flight_integral_s <= 8 * 0.5 + 1e-6
    assert report.in_flight_starved_integral_s <= 4 * 0.5 + 1e-6
    assert set(report.errors) <= {"timeout"}
    # Freed workers still read what starved connections had sent before they were given up: hence the range.
    assert report.life_ok <= server.requests <= report.life_ok + report.life_unknown


def test_a_silent_server_times_every_request_out(tmp_path: Path) -> None:
    with running(silent) as server:
        report = checked(run(tmp_path, url=server.url, timeout_s=0.3, window_s=1.0, **CLOSED))
    assert set(report.errors) == {"timeout"}
    assert report.ok == report.life_ok == 0
    assert report.connections_starved == 2
    assert report.life_unknown == server.requests


def test_a_stall_counts_against_every_request_intended_in_it(tmp_path: Path) -> None:
    """0.5 s of standstill at 100 a second: about 50 requests wait, not the one per connection that a closed loop sees."""
    stalled, over = threading.Event(), threading.Event()

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for _ in requests_of(connection):
                if server.count() == 60:
                    stalled.set()
                    time.sleep(0.5)
                    over.set()
                if stalled.is_set():
                    over.wait()
                connection.sendall(OK_RESPONSE)

        return serve

    with running(make) as server:
        report = checked(run(tmp_path, url=server.url, kind="open", rate_per_s=100, window_s=1.5))
    slow = sum(count for index, count in report.histograms["response"].items() if bounds_of(index)[0] > 0.05e9)
    assert slow >= 40


WRONG = {
    "status": answering(b"HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\nx"),
    "malformed": answering(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "closed": answering(b"", then_close=True),
    "reset": resetting,
}


@pytest.mark.parametrize("kind", [CLOSED, OPEN], ids=["closed", "open"])
@pytest.mark.parametrize("error", WRONG)
def test_a_wrong_answer_is_an_error_of_its_kind(tmp_path: Path, error: str, kind: dict[str, object]) -> None:
    with running(WRONG[error]) as server:
        report = checked(run(tmp_path, url=server.url, window_s=0.4, **kind))
    # While its connections rest after failures, requests of an open loop wait, some until there is no time left.
    late = {"unsent", "timeout", "connect-timeout"} if kind is OPEN else set()
    assert set(report.errors) <= {error} | late
    assert report.errors[error] > 0
    assert report.ok == 0
    assert report.life_unknown == server.requests


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
UNTIL_THE_END = b"HTTP/1.0 200 OK\r\n\r\nhello"
EXPECTED: dict[str, tuple[bytes, dict[str, int], str | None]] = {
    "nothing in particular": (OK_RESPONSE, {}, None),
    "the status": (OK_RESPONSE, {"expect_status": 200}, None),
    "another 2xx": (OK_RESPONSE, {"expect_status": 201}, "status"),
    "a 404, and it is one": (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", {"expect_status": 404}, None),
    "the length": (OK_RESPONSE, {"expect_body_bytes": 5}, None),
    "a longer body": (OK_RESPONSE, {"expect_body_bytes": 6}, "wrong"),
    "no body": (OK_RESPONSE, {"expect_body_bytes": 0}, "wrong"),
    "no body, and there is none": (CHUNKED.partition(b"2;")[0] + b"0\r\n\r\n", {"expect_body_bytes": 0}, None),
    "the length of what is in the chunks": (CHUNKED, {"expect_body_bytes": 5}, None),
    "more than is in the chunks": (CHUNKED, {"expect_body_bytes": 10}, "wrong"),
    "the length of what comes until the end": (UNTIL_THE_END, {"expect_body_bytes": 5}, None),
    "less than comes until the end": (UNTIL_THE_END, {"expect_body_bytes": 4}, "wrong"),
    "another status and another length": (OK_RESPONSE, {"expect_status": 204, "expect_body_bytes": 1}, "status"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_answer_is_right_if_it_is_the_one_expected(tmp_path: Path, name: str) -> None:
    response, expected, error = EXPECTED[name]
    with running(answering(response, then_close=response is UNTIL_THE_END)) as server:
        report = checked(run(tmp_path, url=server.url, window_s=0.2, warmup_s=0, **CLOSED, **expected))
    assert set(report.errors) == ({error} if error else set())
    assert (report.ok > 0) == (error is None)
    assert report.connections_served == 2


def test_one_wrong_length_among_right_ones_is_found_on_the_way_of_plain_answers(tmp_path: Path) -> None:
    """Every tenth answer is another one; each is whole, plain and a 200, so that only the expectation tells them apart."""
    other = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell"
    wrong: list[int] = []

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for _ in requests_of(connection):
                number = server.count()
                wrong.extend([number] if number % 10 == 0 else [])
                connection.sendall(OK_RESPONSE if number % 10 else other)

        return serve

    with running(make) as server:
        report = checked(run(tmp_path, url=server.url, connections=1, expect_body_bytes=5, **CLOSED))
    assert report.errors["wrong"] > 0
    assert report.life_unknown == len(wrong)
    assert report.life_ok == server.requests - len(wrong)


def test_a_body_cut_short_is_closed_and_not_ok(tmp_path: Path) -> None:
    with running(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", then_close=True)) as server:
        report = checked(run(tmp_path, url=server.url, window_s=0.3, **CLOSED))
    assert set(report.errors) == {"closed"}


def test_a_body_that_lasts_until_the_end_of_the_connection_is_whole_with_it(tmp_path: Path) -> None:
    with running(answering(b"HTTP/1.0 200 OK\r\n\r\nwhatever", then_close=True)) as server:
        report = checked(run(tmp_path, url=server.url, window_s=0.3, **CLOSED))
    assert report.errors == {}
    assert report.ok > 0


def test_a_server_that_ends_kept_connections_costs_no_request(tmp_path: Path) -> None:
    with running(answering(CLOSE_RESPONSE, then_close=True)) as server:
        report = checked(run(tmp_path, url=server.url, window_s=0.3, **CLOSED, **KEPT))
    assert report.errors == {}
    assert report.connections_opened == server.accepted == report.life_ok


def test_a_large_body_in_both_directions_is_one_request(tmp_path: Path) -> None:
    size = 3_000_000
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"y" * size
    lengths: set[int] = set()

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for request in requests_of(connection):
                server.count()
                lengths.add(len(request.partition(b"\r\n\r\n")[2]))
                connection.sendall(response)

        return serve

    with running(make) as server:
        report = checked(run(tmp_path, url=server.url, method="POST", body_bytes=size, window_s=0.5, **CLOSED))
    assert report.errors == {}
    assert lengths == {size}
    assert report.life_ok == server.requests
    assert report.bytes_received == report.completed_in_window * len(response)


def test_a_chunked_answer_in_dribs_is_whole(tmp_path: Path) -> None:
    parts = [b"HTTP/1.1 200 OK\r\nTransfer-", b"Encoding: chunked\r\n\r", b"\n5\r\nhel", b"lo\r\n0\r", b"\n\r\n"]

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for _ in requests_of(connection):
                server.count()
                for part in parts:
                    connection.sendall(part)
                    time.sleep(0.002)

        return serve

    with running(make) as server:
        report = checked(run(tmp_path, url=server.url, window_s=0.3, **CLOSED))
    assert report.errors == {}
    assert report.life_ok == server.requests > 0


@pytest.mark.parametrize("kind", [CLOSED, OPEN], ids=["closed", "open"])
@pytest.mark.parametrize("lifetime", [KEPT, FRESH], ids=["keep-alive", "per-request"])
def test_when_the_server_dies_in_mid_run_the_errors_are_counted_and_connects_are_few(
    tmp_path: Path, kind: dict[str, object], lifetime: dict[str, object]
) -> None:
    once = lifetime is FRESH
    settings = {"connections": 4, "timeout_s": 0.5, "window_s": 2.0, **kind, **lifetime}
    make = answering(CLOSE_RESPONSE if once else OK_RESPONSE, then_close=once)
    with running(make) as server, client(tmp_path, url=server.url, **settings) as process:
        await_event(process, "tick")
        server.stop()
        ended = finish(process, tmp_path)
    report = checked(ended)
    assert report.ok > 0
    assert set(report.errors) <= {"refused", "reset", "closed", "unsent", "timeout", "connect-timeout"}
    assert 0 < report.errors["refused"] <= 4 * 16  # each slot rests 10, 20, … 500 ms between its attempts


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_addresses_of_both_families_and_names_are_reached(tmp_path: Path, host: str) -> None:
    with running(answering(OK_RESPONSE), host="127.0.0.1" if host == "localhost" else host) as server:
        url = server.url.replace("127.0.0.1", host)
        report = checked(run(tmp_path, url=url, window_s=0.2, **CLOSED))
    assert report.ok > 0
    assert report.errors == {}


def test_the_request_is_what_the_configuration_says(tmp_path: Path) -> None:
    seen: set[bytes] = set()

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for request in requests_of(connection):
                seen.add(request)
                connection.sendall(CLOSE_RESPONSE)
                return

        return serve

    with running(make) as server:
        checked(
            run(
                tmp_path,
                url=server.url + "a?b=c",
                method="PUT",
                headers={"X-One": "1"},
                body_bytes=3,
                window_s=0.2,
                **FRESH,
            )
        )
        host = f"127.0.0.1:{server.port}".encode()
    assert seen == {
        b"PUT /a?b=c HTTP/1.1\r\nHost: " + host + b"\r\nX-One: 1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxxx"
    }


def test_with_a_connection_per_request_the_server_closes_first(tmp_path: Path) -> None:
    """The wait after a close (TIME_WAIT) stays with the server: its end of file reaches the client before the client's reaches it."""
    client_first: list[bool] = []

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for _ in requests_of(connection):
                connection.sendall(CLOSE_RESPONSE)
                connection.settimeout(0.05)
                try:
                    client_first.append(connection.recv(1) == b"")
                except TimeoutError:
                    client_first.append(False)
                return

        return serve

    with running(make) as server:
        report = checked(run(tmp_path, url=server.url, window_s=0.4, **CLOSED, **FRESH))
    assert report.errors == {}
    assert client_first
    assert not any(client_first)
