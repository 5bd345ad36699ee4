"""Every model gives the right answer to every request, however it arrives."""

import socket
from pathlib import Path

import pytest

from tests.models.support import GET, GET_AND_CLOSE, serving


def test_body_answers_any_path_and_method_alike(model: str, folder: Path) -> None:
    with serving(model, folder, body_bytes=1_000) as server:
        client = server.client()
        for line in (b"GET / ", b"POST /a?b=c ", b"DELETE http://test/x ", b"OPTIONS * ", b"BREW /pot "):
            response = client.ask(line + b"HTTP/1.1\r\nHost: test\r\n\r\n")
            assert (response.status, response.body) == (200, b"x" * 1_000)
            assert response.headers["content-type"] == "application/octet-stream"


def test_an_empty_body_is_a_body(model: str, folder: Path) -> None:
    with serving(model, folder, body_bytes=0) as server:
        assert server.client().ask(GET).body == b""


def test_echo_gives_the_requests_body_back(model: str, folder: Path) -> None:
    with serving(model, folder, kind="echo") as server:
        client = server.client()
        for body in (b"", b"a", bytes(range(256)) * 3_000):
            client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            assert client.response().body == body


def test_a_chunked_body_is_put_together_and_its_trailers_are_read(model: str, folder: Path) -> None:
    with serving(model, folder, kind="echo") as server:
        client = server.client()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"5;name=value\r\nhello\r\n00A\r\n, chunked \r\n5\r\nworld\r\n0\r\nChecksum: 1\r\n\r\n")
        assert client.response().body == b"hello, chunked world"
        assert client.ask(GET).status == 200


def test_cpu_work_is_done_before_the_answer(model: str, folder: Path) -> None:
    with serving(model, folder, cpu_iterations=200_000) as server:
        assert server.client().ask(GET).status == 200
        end = server.stop()
    assert end.cpu_user_s is not None
    assert end.cpu_user_s > 0.01  # twice 200,000 rounds take longer than this on any machine


def test_head_has_the_length_but_not_the_body(model: str, folder: Path) -> None:
    with serving(model, folder, body_bytes=10) as server:
        client = server.client()
        response = client.ask(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", head_only=True)
        assert response.headers["content-length"] == "10"
        assert client.ask(GET).body == b"x" * 10


def test_a_request_may_arrive_byte_by_byte(model: str, folder: Path) -> None:
    with serving(model, folder, kind="echo") as server:
        client = server.client()
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello" * 2
        for byte in request:
            client.send(bytes([byte]))
        assert [client.response().body for _ in range(2)] == [b"hello", b"hello"]


def test_pipelined_requests_are_answered_in_order(model: str, folder: Path) -> None:
    with serving(model, folder, kind="echo") as server:
        client = server.client()
        bodies = [b"%d" % number for number in range(1_000)]
        client.send(
            b"".join(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%b" % (len(b), b) for b in bodies)
        )
        assert [client.response().body for _ in bodies] == bodies
        assert server.stop().requests == len(bodies)


@pytest.mark.parametrize(
    ("request_head", "connection"),
    [
        (b"GET / HTTP/1.1\r\nHost: t\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: t\r\nConnection: keep-alive\r\n", None),
        (b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n", "close"),
        (b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Keep-Alive, CLOSE\r\n", "close"),
        (b"GET / HTTP/1.1\r\nHost: t\r\nConnection: x\r\nConnection: close\r\n", "close"),
        (b"GET / HTTP/1.0\r\n", "close"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", "keep-alive"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n", "close"),
    ],
)
def test_the_connection_is_kept_or_closed_as_asked(
    model: str, folder: Path, request_head: bytes, connection: str | None
) -> None:
    with serving(model, folder) as server:
        client = server.client()
        response = client.ask(request_head + b"\r\n")
        assert (response.status, response.headers.get("connection")) == (200, connection)
        if connection == "close":
            assert client.at_end()
        else:
            assert client.ask(GET).status == 200


def test_nothing_behind_a_closing_request_is_answered(model: str, folder: Path) -> None:
    with serving(model, folder) as server:
        client = server.client()
        assert client.ask(GET_AND_CLOSE + GET).status == 200
        assert client.at_end()
        assert server.stop().requests == 1


def test_a_client_that_has_stopped_sending_still_gets_its_answer(model: str, folder: Path) -> None:
    with serving(model, folder) as server:
        client = server.client()
        client.send(GET + GET)
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.response().status for _ in range(2)] == [200, 200]
        assert client.at_end()


def test_a_client_that_expects_100_continue_gets_it_before_it_sends_the_body(model: str, folder: Path) -> None:
    with serving(model, folder, kind="echo") as server:
        client = server.client()
        head = b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        assert client.ask(head).status == 100
        client.send(b"a")
        client.send(b"bc")
        assert client.response().body == b"abc"


def test_a_client_that_reads_nothing_holds_up_nobody_else(model: str, folder: Path) -> None:
    with serving(model, folder, body_bytes=4 << 20) as server:
        greedy, other = server.client(), server.client()
        greedy.send(GET * 40)
        for _ in range(3):
            assert len(other.ask(GET).body) == 4 << 20
        assert all(len(greedy.response().body) == 4 << 20 for _ in range(40))
        assert server.stop().requests == 43


@pytest.mark.parametrize("mode", ["buffered", "flush"])
def test_the_log_has_a_line_for_each_request(model: str, folder: Path, mode: str) -> None:
    with serving(model, folder, log=mode) as server:
        clients = [server.client() for _ in range(4)]
        for _ in range(500):
            for client in clients:
                client.send(GET)
            assert {client.response().status for client in clients} == {200}
        server.client().ask(b'GET /"a HTTP/1.0\r\n\r\n')
        server.stop()
    lines = (folder / "out" / "access.log").read_text().splitlines()
    assert len(lines) == 2 + 4 * 500
    assert all(line.startswith("127.0.0.1 - - [") and line.endswith('" 200 128') for line in lines)
    assert sum('"GET /%22a HTTP/1.0"' in line for line in lines) == 1


def test_a_flushed_log_line_is_there_when_the_answer_is(model: str, folder: Path) -> None:
    with serving(model, folder, log="flush") as server:
        server.client().ask(GET)
        assert len((folder / "out" / "access.log").read_text().splitlines()) == 2


def test_without_a_log_there_is_no_file(model: str, folder: Path) -> None:
    with serving(model, folder) as server:
        server.client().ask(GET)
        server.stop()
    assert not (folder / "out" / "access.log").exists()
