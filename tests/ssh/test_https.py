"""A server over https that only the host can reach is asked by way of SSH, its certificate checked as if it were near."""

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.errors import DeployError
from harness.hosts.connection import Dial
from harness.hosts.ssh import SshConnection
from harness.proof import ask, prove_foreign
from harness.spec.experiment import Trial
from harness.spec.traffic import MixedRequest
from harness.trust import Trust
from tests.client.certificates import Authority
from tests.ssh.sshd import LOOPBACK

BODY = b"a body of an answer" * 20_000  # more than one record of TLS
Serving = Callable[[str], contextlib.AbstractContextManager[int]]


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of http.server
        """Nothing: pytest would print it."""


class Server(http.server.ThreadingHTTPServer):
    """Says nothing of clients that do not trust it."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture
def serving(authority: Authority) -> Serving:
    """A server with a certificate of a name; its port."""

    @contextlib.contextmanager
    def serve(name: str) -> Iterator[int]:
        with Server((LOOPBACK, 0), Answers) as server:
            server.socket = authority.server(name).wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield int(server.server_address[1])
            server.shutdown()

    return serve


@pytest.fixture
def dial(connection: SshConnection) -> Dial:
    return lambda host, port, timeout_s: connection.dial(host, port, timeout_s=timeout_s)


def asked(port: int, dial: Dial, trust: Trust) -> tuple[int, bytes]:
    return ask(f"https://{LOOPBACK}:{port}", MixedRequest(), 10.0, trust, dial)


@pytest.mark.parametrize(
    ("name", "check"), [(f"IP:{LOOPBACK}", "full"), ("DNS:api.acme.test", "chain"), ("DNS:api.acme.test", "none")]
)
def test_who_is_trusted_is_asked_and_the_answer_is_whole(
    serving: Serving, authority: Authority, dial: Dial, name: str, check: str
) -> None:
    trust = Trust(None if check == "none" else authority.pem.read_text(), check)  # type: ignore[arg-type]
    with serving(name) as port:
        assert asked(port, dial, trust) == (200, BODY)


@pytest.mark.parametrize("check", ["full", "chain"])
def test_who_is_not_trusted_is_not_asked(serving: Serving, tmp_path: Path, dial: Dial, check: str) -> None:
    stranger = Authority.make(tmp_path / "other").pem.read_text()
    with serving(f"IP:{LOOPBACK}") as port, pytest.raises(ssl.SSLCertVerificationError):
        asked(port, dial, Trust(stranger, check))  # type: ignore[arg-type]


def test_a_certificate_of_another_name_is_told_in_one_line(serving: Serving, authority: Authority, dial: Dial) -> None:
    trust = Trust(authority.pem.read_text(), "full")
    with serving("DNS:api.acme.test") as port:
        origin = f"https://{LOOPBACK}:{port}"
        with pytest.raises(DeployError, match=f"{origin}: its certificate is not trusted .*`insecure: true`"):
            prove_foreign(origin, Trial(), trust, None, [], dial)


def test_a_server_that_speaks_no_tls_is_an_error_and_a_silent_one_ends_in_time(dial: Dial) -> None:
    plain = partial(http.server.ThreadingHTTPServer, (LOOPBACK, 0), Answers)
    with plain() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(ssl.SSLError):
            asked(int(server.server_address[1]), dial, Trust(None, "none"))
        server.shutdown()
    with socket.create_server((LOOPBACK, 0)) as silent, pytest.raises(TimeoutError):
        ask(f"https://{LOOPBACK}:{silent.getsockname()[1]}", MixedRequest(), 0.2, Trust(None, "none"), dial)
