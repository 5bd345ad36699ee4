"""The client over https: what it checks, what it counts, and that it counts as it does over plain http."""

import socket
import struct
import threading
from pathlib import Path

import pytest

from harness.histogram import bounds_of
from tests.client.certificates import Authority
from tests.client.running import Ended, checked, run
from tests.client.servers import (
    CLOSE_RESPONSE,
    OK_RESPONSE,
    Make,
    Serve,
    Server,
    answering,
    requests_of,
    resetting,
    running,
)

pytestmark = pytest.mark.slow
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
S = 1_000_000_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("tls") / "stranger")


@pytest.fixture
def load(tmp_path: Path, authority: Authority) -> "Load":
    return Load(tmp_path, authority)


class Load:
    """Runs the client against a server with a certificate for 127.0.0.1, trusting its authority."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self._folder, self._authority = folder, authority
        self.server: Server | None = None

    def __call__(self, make: Make, *, names: tuple[str, ...] = ("IP:127.0.0.1",), **settings: object) -> Ended:
        with running(make, tls=self._authority.server(*names)) as self.server:
            trusted = {"tls_authorities": self._authority.pem.read_text()}
            return run(self._folder, **{"url": self.server.url, **trusted, **settings})


def test_kept_connections_are_opened_once_and_every_answer_counts(load: Load) -> None:
    report = checked(load(answering(OK_RESPONSE), connections=5, expect_body_bytes=5))
    assert report.ok > 0
    assert report.errors == {}
    assert report.connections_served == 5
    assert report.connections_opened == 6  # with the one that asked who is there
    assert load.server is not None
    assert load.server.requests == report.life_ok


def test_a_connection_per_request_makes_a_handshake_for_each(load: Load) -> None:
    report = checked(load(answering(CLOSE_RESPONSE, then_close=True), lifetime="per-request", timeout_s=5.0))
    assert report.ok > 0
    assert report.errors == {}
    assert load.server is not None
    assert load.server.requests == report.life_ok
    assert load.server.accepted == report.connections_opened == report.life_ok + 1


def test_an_open_loop_keeps_its_schedule(load: Load) -> None:
    report = checked(load(answering(OK_RESPONSE), kind="open", rate_per_s=200.0, connections=4))
    assert report.ok == report.schedule == 100


def test_answers_and_requests_larger_than_a_record_come_whole(load: Load) -> None:
    report = checked(
        load(answering(LARGE), method="POST", body_bytes=1_000_000, expect_body_bytes=300_000, timeout_s=20.0)
    )
    assert report.life_ok >= 2
    assert report.errors == {}
    assert report.life_unknown == 0


def test_the_first_byte_comes_after_the_handshake_and_the_connect_is_over_with_it(load: Load) -> None:
    slow_handshakes = threading.Event()

    def make(server: Server) -> Serve:
        serve = answering(OK_RESPONSE)(server)
        wrapped = server.tls
        assert wrapped is not None
        original = wrapped.wrap_socket

        def wrap(*arguments: object, **named: object) -> object:
            slow_handshakes.wait(0.2)
            return original(*arguments, **named)  # type: ignore[arg-type]

        wrapped.wrap_socket = wrap  # type: ignore[assignment,method-assign]
        return serve

    report = checked(load(make, connections=3))
    connects, first_bytes = report.histograms["connect"], report.histograms["first_byte"]
    assert sum(connects.values()) == sum(first_bytes.values()) == 3
    assert min(first_bytes) >= min(connects)  # indices of buckets grow with the time
    assert bounds_of(min(connects))[1] >= 0.2 * S


REFUSED = [
    ("an authority that is not trusted", {"tls_authorities": None}, ("IP:127.0.0.1",), "is not trusted"),
    ("another name", {}, ("DNS:example.test",), "is not trusted (IP address mismatch"),
]


@pytest.mark.parametrize(("settings", "names", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
@pytest.mark.parametrize("lifetime", ["keep-alive", "per-request"])
def test_a_certificate_that_is_not_trusted_is_one_line_with_what_to_do(
    load: Load, settings: dict[str, object], names: tuple[str, ...], says: str, lifetime: str
) -> None:
    ended = load(answering(OK_RESPONSE), names=names, lifetime=lifetime, **settings)
    assert (ended.status, ended.names()) == (1, ["error"])
    message = ended.events[0]["message"]
    assert says in message
    assert "`ca`" in message
    assert "`insecure`" in message
    assert load.server is not None
    assert load.server.requests == 0


def test_another_authority_than_the_one_that_is_named_is_not_trusted(load: Load, stranger: Authority) -> None:
    ended = load(answering(OK_RESPONSE), tls_authorities=stranger.pem.read_text())
    assert (ended.status, ended.names()) == (1, ["error"])
    assert "is not trusted" in ended.events[0]["message"]


@pytest.mark.parametrize(
    "settings",
    [{"tls_check": "chain"}, {"tls_check": "none"}, {"tls_check": "none", "tls_authorities": None}],
    ids=str,
)
def test_less_is_checked_where_less_is_asked(load: Load, settings: dict[str, object]) -> None:
    report = checked(load(answering(OK_RESPONSE), names=("DNS:example.test",), **settings))
    assert report.ok > 0
    assert report.errors == {}


def test_the_chain_is_checked_without_the_name(load: Load, stranger: Authority) -> None:
    ended = load(answering(OK_RESPONSE), tls_check="chain", tls_authorities=stranger.pem.read_text())
    assert (ended.status, ended.names()) == (1, ["error"])


def test_what_speaks_plain_http_is_told(tmp_path: Path) -> None:
    with running(answering(OK_RESPONSE)) as server:
        ended = run(tmp_path, url=server.url.replace("http:", "https:"), tls_check="none")
    assert (ended.status, ended.names()) == (1, ["error"])
    assert "no TLS handshake" in ended.events[0]["message"]
    assert "does it speak https at this port?" in ended.events[0]["message"]


def test_resets_are_counted_and_do_not_stop_the_load(load: Load) -> None:
    report = checked(load(resetting))
    assert report.ok == 0
    assert set(report.errors) <= {"reset", "closed", "other"}
    assert sum(report.errors.values()) == report.intended > 0


def test_a_connection_that_is_cut_in_the_handshake_fails_as_a_request(tmp_path: Path, authority: Authority) -> None:
    """The first one is left whole: it is how the client asks who is there."""

    def make(server: Server) -> Serve:
        context = authority.server("IP:127.0.0.1")

        def serve(connection: socket.socket) -> None:
            if server.count() == 1:
                context.wrap_socket(connection, server_side=True).close()
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        return serve

    with running(make) as server:
        trusted = authority.pem.read_text()
        ended = run(
            tmp_path, url=server.url.replace("http:", "https:"), tls_authorities=trusted, lifetime="per-request"
        )
    report = checked(ended)
    assert report.ok == 0
    assert sum(report.errors.values()) == report.intended > 0
    assert report.connect_missing == report.intended


def test_a_server_that_closes_kept_connections_is_met_again(load: Load) -> None:
    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            for _, _ in zip(range(3), requests_of(connection), strict=False):
                server.count()
                connection.sendall(OK_RESPONSE)

        return serve

    report = checked(load(make, connections=2))
    assert report.ok > 0
    assert report.connections_opened > 3
