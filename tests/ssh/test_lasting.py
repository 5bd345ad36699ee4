"""A connection that is lost comes back by itself, and one that has gone silent is not waited for."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.errors import HostError
from tests.ssh.sshd import LOOPBACK, Sshd, free_port, running_sshd

pytestmark = pytest.mark.slow  # sshd is not everywhere: `make test` installs it


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Sshd]:
    """A server that a test may do anything to."""
    with running_sshd(tmp_path / "sshd") as server:
        yield server


def test_after_its_session_was_killed_a_connection_is_made_anew(own: Sshd, tmp_path: Path) -> None:
    connection = own.connection(tmp_path)
    before = connection.transport()
    assert own.end_sessions() > 0
    assert connection.run(["echo", "back"], timeout_s=20).stdout == "back\n"
    assert connection.transport() is not before


def test_a_command_whose_connection_is_killed_is_told_as_lost_and_not_run_again(own: Sshd, tmp_path: Path) -> None:
    connection = own.connection(tmp_path)
    count, told = tmp_path / "count", []

    def run() -> None:
        with pytest.raises(HostError) as error:
            connection.run(["sh", "-c", f"echo x >> {count}; exec sleep 60"], timeout_s=60)
        told.append(str(error.value))

    thread = threading.Thread(target=run)
    thread.start()
    await_file(count)
    own.end_sessions()
    thread.join(30)
    assert len(told) == 1
    assert told[0].startswith("one: the connection was lost while `sh -c")
    assert told[0].endswith("it may have run, or run still")
    assert connection.run(["cat", str(count)], timeout_s=20).stdout == "x\n"


def test_a_frozen_host_is_left_at_the_deadline_and_found_again_when_it_thaws(own: Sshd, tmp_path: Path) -> None:
    connection = own.connection(tmp_path)
    before = connection.transport()
    own.freeze()
    started = time.monotonic()
    with pytest.raises(HostError, match=r"^one: `true` did not end within 0.5 s"):
        connection.run(["true"], timeout_s=0.5)
    with pytest.raises(HostError, match=r"^one: .* port \d+ (takes connections|does not answer)"):
        connection.run(["true"], timeout_s=4)  # the old connection is put to the proof, and a new one is tried
    assert time.monotonic() - started < 60  # far from paramiko's own hour
    assert not before.is_active()
    own.thaw()
    assert connection.run(["echo", "back"], timeout_s=20).stdout == "back\n"


def test_a_server_that_comes_back_with_another_key_is_refused(tmp_path: Path) -> None:
    port = free_port()
    with running_sshd(tmp_path / "first", port=port) as first:
        connection = first.connection(tmp_path)
        connection.transport()
    with running_sshd(tmp_path / "second", port=port), pytest.raises(HostError, match="ANOTHER HOST KEY"):
        connection.transport()


def test_a_closed_connection_may_be_used_again(own: Sshd, tmp_path: Path) -> None:
    connection = own.connection(tmp_path)
    connection.transport()
    connection.close()
    connection.close()
    assert connection.run(["echo", "again"], timeout_s=20).stdout == "again\n"


class Answers(BaseHTTPRequestHandler):
    """Says which path was asked for; `/last` ends the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.path.encode() * 1000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/last":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of http.server
        """Nothing: pytest would print it."""


@contextmanager
def http_server() -> Iterator[int]:
    with ThreadingHTTPServer((LOOPBACK, 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()


def test_a_server_that_only_the_host_can_reach_is_spoken_to_by_http(sshd: Sshd, tmp_path: Path) -> None:
    connection = sshd.connection(tmp_path)
    with http_server() as port:
        client = http.client.HTTPConnection(LOOPBACK, port)
        client.sock = connection.dial(LOOPBACK, port, timeout_s=20)
        for path in ("/one", "/two", "/last"):
            client.request("GET", path)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, path.encode() * 1000)
        assert client.sock is None  # the last answer said so, and was read to its end all the same
    connection.close()


def test_a_port_where_nobody_listens_on_the_host_is_a_refused_connection(sshd: Sshd, tmp_path: Path) -> None:
    connection, port = sshd.connection(tmp_path), free_port()
    with pytest.raises(ConnectionRefusedError, match=f"one: cannot reach 127.0.0.1 port {port}"):
        connection.dial(LOOPBACK, port, timeout_s=20)
    connection.close()


def test_a_dialled_socket_that_nothing_comes_to_ends_in_time(sshd: Sshd, tmp_path: Path) -> None:
    connection = sshd.connection(tmp_path)
    with socket.create_server((LOOPBACK, 0)) as silent:
        dialled = connection.dial(LOOPBACK, silent.getsockname()[1], timeout_s=0.2)
        with pytest.raises(TimeoutError):
            dialled.recv(1)
        dialled.close()
    connection.close()


def test_a_host_that_forbids_to_go_on_says_so(tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd", more={"AllowTcpForwarding": "no"}) as server:
        connection = server.connection(tmp_path)
        with pytest.raises(HostError, match=r"one: sshd there forbids connections .* AllowTcpForwarding"):
            connection.dial(LOOPBACK, 1, timeout_s=20)


def await_file(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists() or not path.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
