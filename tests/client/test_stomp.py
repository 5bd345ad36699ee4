"""STOMP against a tiny server: what a broker may do, rightly or wrongly, and how it is counted. (A real one: tests/docker.)"""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.histogram import bounds_of
from tests.client.running import checked, run
from tests.client.servers import Server, running
from tests.client.stomp_server import CONNECTED, Sent, frames_of, receipts, stomping

pytestmark = pytest.mark.slow

Answer = Callable[[socket.socket, Sent], None]


def url_of(server: Server) -> str:
    return f"stomp://127.0.0.1:{server.port}/queue/x"


def raw(make: Callable[[Sent], bytes]) -> Answer:
    """Answer each SEND with these bytes, and what takes its leave rightly."""
    return lambda connection, frame: connection.sendall(make(frame) if frame.command == b"SEND" else frame.receipt)


def byte_by_byte(connection: socket.socket, frame: Sent) -> None:
    for byte in b"\n" + frame.receipt + b"\n":
        connection.sendall(bytes([byte]))


RIGHT: dict[str, Answer] = {
    "plain": receipts,
    "heart-beats around it": raw(lambda frame: b"\n\r\n" + frame.receipt + b"\n\n"),
    "byte by byte": byte_by_byte,
    "line ends of two bytes": raw(lambda frame: frame.receipt.replace(b"\n", b"\r\n")),
    "content length": raw(lambda frame: frame.receipt.replace(b"\n\n", b"\ncontent-length:0\n\n")),
    "other headers": raw(lambda frame: frame.receipt.replace(b"\n\n", b"\nx\\cy:\\\\\nreceipt-id:7\n\n")),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_receipt_is_a_right_answer_however_it_is_written(tmp_path: Path, name: str) -> None:
    with running(stomping(RIGHT[name])) as server:
        report = checked(run(tmp_path, url=url_of(server), body_bytes=3, window_s=0.3))
    assert report.ok > 0
    assert report.errors == {}
    assert report.life_ok == server.requests
    assert report.connections_opened == server.accepted == 3  # with the one that asked who is there
    assert report.connections_lost == 0


WRONG: dict[str, tuple[Answer, set[str]]] = {
    "an error": (raw(lambda frame: b"ERROR\nmessage:no\n\nbecause\0"), {"status"}),
    "another one's receipt": (raw(lambda frame: b"RECEIPT\nreceipt-id:x\n\n\0"), {"wrong"}),
    "a receipt for nothing": (raw(lambda frame: b"RECEIPT\n\n\0"), {"wrong"}),
    "a message": (raw(lambda frame: b"MESSAGE\nmessage-id:1\n\nhello\0" + frame.receipt), {"wrong"}),
    "two receipts": (raw(lambda frame: 2 * frame.receipt), {"malformed"}),
    "something beyond the receipt": (raw(lambda frame: frame.receipt + b"ERR"), {"malformed"}),
    "http": (raw(lambda frame: b"HTTP/1.1 400 Bad Request\r\n\r\n"), {"malformed"}),
    "nothing": (raw(lambda frame: b""), {"timeout"}),
    "an end in the middle": (lambda connection, frame: connection.shutdown(socket.SHUT_RDWR), {"closed", "reset"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_anything_else_ends_the_request_in_its_own_way(tmp_path: Path, name: str) -> None:
    answer, endings = WRONG[name]
    with running(stomping(answer)) as server:
        report = checked(run(tmp_path, url=url_of(server), timeout_s=0.2))
    assert report.ok == 0
    assert report.intended > 0
    assert set(report.errors) <= endings
    assert report.life_unknown == server.requests


def test_no_two_requests_ask_for_the_same_receipt(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def note(connection: socket.socket, frame: Sent) -> None:
        seen.append(frame.headers[b"receipt"])
        receipts(connection, frame)

    with running(stomping(note)) as server:
        checked(run(tmp_path, url=url_of(server), connections=3, lifetime=5, window_s=0.3))
    assert len(seen) == len(set(seen)) > 10


def test_a_message_has_the_size_the_destination_and_the_headers_that_were_asked_for(tmp_path: Path) -> None:
    seen: list[Sent] = []

    def note(connection: socket.socket, frame: Sent) -> None:
        seen.append(frame)
        receipts(connection, frame)

    headers = {"login": "me", "passcode": "a:b", "vhost": "/v", "priority": "4", "x-note": "a:b\\c"}
    with running(stomping(note)) as server:
        checked(run(tmp_path, url=url_of(server), body_bytes=70_000, headers=headers, window_s=0.1))
    sends = [frame for frame in seen if frame.command == b"SEND"]
    assert {frame.headers[b"destination"] for frame in sends} == {b"/queue/x"}
    assert {len(frame.body) for frame in sends} == {70_000}
    for frame in sends:
        assert frame.headers[b"x-note"] == b"a\\cb\\\\c"  # as it is escaped on the wire
        assert set(frame.headers) == {b"destination", b"content-length", b"priority", b"x-note", b"receipt"}
    assert [frame.command for frame in seen[-2:]] == [b"DISCONNECT"] * 2  # each kept connection takes its leave


def test_the_broker_is_told_who_comes_and_that_no_heart_beats_are_wanted(tmp_path: Path) -> None:
    greetings: list[dict[bytes, bytes]] = []

    def make(server: Server) -> Callable[[socket.socket], None]:
        def serve(connection: socket.socket) -> None:
            frames = frames_of(connection)
            greetings.append(next(frames).headers)
            connection.sendall(CONNECTED)
            for frame in frames:
                receipts(connection, frame)

        return serve

    with running(make) as server:
        checked(run(tmp_path, url=url_of(server), headers={"login": "me", "passcode": "a:b"}, window_s=0.1))
    expected = {b"accept-version": b"1.2", b"host": b"127.0.0.1", b"heart-beat": b"0,0", b"login": b"me"}
    assert greetings == [{**expected, b"passcode": b"a:b"}] * 3


def test_service_time_runs_from_the_send_to_the_receipt_and_first_byte_from_the_connect(tmp_path: Path) -> None:
    """The greeting takes 150 ms, the receipt 50 ms; a heart-beat before it is no first byte of it."""

    def slow(connection: socket.socket, frame: Sent) -> None:
        connection.sendall(b"\n")
        time.sleep(0.05)
        connection.sendall(frame.receipt)

    def make(server: Server) -> Callable[[socket.socket], None]:
        serve = stomping(slow)(server)

        def late(connection: socket.socket) -> None:
            time.sleep(0.15)
            serve(connection)

        return late

    with running(make) as server:
        report = checked(run(tmp_path, url=url_of(server), window_s=0.5))
    at_least = {name: bounds_of(min(histogram))[1] / 1e9 for name, histogram in report.histograms.items() if histogram}
    assert at_least["connect"] >= 0.15
    assert at_least["first_byte"] >= 0.2
    assert at_least["service"] >= 0.05


REFUSALS = {
    "an error": (b"ERROR\nmessage:who are you\n\nBad login\0", "refuses the connection: who are you: Bad login"),
    "another version": (b"CONNECTED\nversion:1.1\n\n\0", "no CONNECTED of STOMP 1.2"),
    "another protocol": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no frame of a STOMP server"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_server_that_refuses_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    said, message = REFUSALS[name]
    with running(stomping(receipts, connected=said)) as server:
        ended = run(tmp_path, url=url_of(server))
    assert (ended.status, ended.names()) == (1, ["error"])
    assert message in ended.events[0]["message"]


def test_a_refusal_later_on_is_a_request_that_failed(tmp_path: Path) -> None:
    """The first connection asks who is there; those after it are refused."""

    def make(server: Server) -> Callable[[socket.socket], None]:
        welcome, refuse = stomping(receipts)(server), stomping(receipts, connected=b"ERROR\nmessage:full\n\n\0")(server)

        def serve(connection: socket.socket) -> None:
            (welcome if server.accepted == 1 else refuse)(connection)

        return serve

    with running(make) as server:
        report = checked(run(tmp_path, url=url_of(server), lifetime="per-request"))
    assert report.ok == 0
    assert set(report.errors) == {"status"}
    assert report.connect_missing == report.intended
    assert server.requests == 0


BAD: dict[str, tuple[dict[str, object], str]] = {
    "no destination": ({"url": "stomp://127.0.0.1:1"}, "no destination"),
    "a method": ({"method": "POST"}, "are HTTP's; leave them out"),
    "a status": ({"expect_status": 200}, "are HTTP's; leave them out"),
    "a header of the client's own": ({"headers": {"Receipt": "1"}}, "header `Receipt` is set by the client"),
    "nobody there": ({}, "nothing listens at 127.0.0.1:1"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_done_is_told_before_anything_is_sent(tmp_path: Path, name: str) -> None:
    settings, message = BAD[name]
    ended = run(tmp_path, **{"url": "stomp://127.0.0.1:1/queue/x", **settings})
    assert (ended.status, ended.names()) == (1, ["error"])
    assert message in ended.events[0]["message"]
