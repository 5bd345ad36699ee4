"""The way to the engine, and one line for each thing that can stand in it."""

import json
import os
import shutil
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import docker
import pytest

from harness.errors import RuntimeUnavailable
from harness.images import connect, engine

NOBODY = 65534


@contextmanager
def engine_that_says(path: Path, answer: bytes) -> Iterator[None]:
    """Something that speaks HTTP on a Unix socket."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Nothing: pytest's output is for the tests."""

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the engine's socket would be."""
    path = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    return path


def why() -> str:
    with pytest.raises(RuntimeUnavailable) as caught:
        connect()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("host", ["tcp://127.0.0.1:2375", "ssh://server", "127.0.0.1:2375", "unix://docker.sock"])
def test_takes_unix_sockets_only(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert why() == f"DOCKER_HOST={host} is not a Unix socket; unset it, or set it to unix:///PATH"


def test_says_that_there_is_no_engine(path: Path) -> None:
    installed = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert why().startswith("the Docker engine is not running" if installed else "no Docker here")


def test_says_that_the_engine_is_not_running(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    assert why() == (f"the Docker engine is not running (nobody listens at {path}); start it: `systemctl start docker`")


def test_says_that_there_is_no_permission(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0)
        said = why() if os.geteuid() else as_nobody()
    assert said.startswith(f"no permission on {path}; join its group (")


def as_nobody() -> str:
    """What `connect` says to somebody without rights, in a process of its own: root may do everything."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresuid(NOBODY, NOBODY, NOBODY)
        try:
            connect()
        except RuntimeUnavailable as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as said:
        return said.read()


def test_says_that_the_engine_stays_silent(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CONNECT_DEADLINE_S", 0.2)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        assert why().startswith(f"what listens at {path} does not answer as Docker does: ")


def test_says_that_it_is_no_engine(path: Path) -> None:
    with engine_that_says(path, b"[]"):
        assert why().startswith(f"what listens at {path} does not answer as Docker does: ")


def test_says_that_the_engine_is_too_old(path: Path) -> None:
    with engine_that_says(path, json.dumps({"ApiVersion": "1.40", "Version": "19.03"}).encode()):
        assert why() == (
            f"the Docker engine at {path} speaks API 1.40, 1.41 is the oldest that will do; "
            "install Docker 20.10 or newer"
        )


@pytest.mark.docker
def test_reaches_the_engine(client: docker.DockerClient) -> None:
    assert client.ping()
