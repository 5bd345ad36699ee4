"""The engine of this machine, reached as that of another: over a real sshd of our own on the loopback address."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from harness.hosts.ssh import SshConnection
from harness.images import ImageInfo, connect, ensure_images
from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.docker import DockerRuntime, DockerService, channel, liveness
from harness.runtime.docker.over_ssh import connect_over
from tests.docker.conftest import copy_images
from tests.ssh.sshd import Sshd, running_sshd

HOST = "afar"
PATIENCE_S = 30.0

Start = Callable[..., DockerService]


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of the test's own, without keys and configuration; no agent."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead connection is given up within two seconds instead of twenty."""
    for module in (liveness, channel):
        monkeypatch.setattr(module, "SILENCE_S", 0.3)
        monkeypatch.setattr(module, "ANSWER_S", 1.5)


@pytest.fixture(scope="session")
def here() -> Iterator[docker.DockerClient]:
    """The engine, reached directly."""
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(here: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageInfo]:
    folder = tmp_path_factory.mktemp("session")
    return ensure_images(here, copy_images(folder / "images"), ["tiny"], folder / "logs", print)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path / "sshd") as server:
        yield server


@pytest.fixture
def connection(sshd: Sshd, tmp_path: Path) -> Iterator[SshConnection]:
    made = sshd.connection(tmp_path, HOST)
    yield made
    made.close()


@pytest.fixture
def client(connection: SshConnection) -> Iterator[docker.DockerClient]:
    made = connect_over(connection.transport, HOST)
    yield made
    made.close()


@pytest.fixture
def run(request: pytest.FixtureRequest) -> str:
    """Id of the test's run: what is labelled with it is of this test."""
    return f"test-{request.node.name[:40]}"


@pytest.fixture
def runtime(client: docker.DockerClient, images: dict[str, ImageInfo], run: str) -> DockerRuntime:
    owner = make_owner(run)
    return DockerRuntime(client, images, owner, host=HOST, address="127.0.0.9", patience_s=PATIENCE_S)


@pytest.fixture
def start(runtime: DockerRuntime) -> Iterator[Start]:
    """Starts a program of Python's, or the tiny service with something to do; what is left goes away afterwards."""
    number = 0

    def start_it(
        do: str = "", program: str = "", config: dict[str, object] | None = None, **more: Any
    ) -> DockerService:
        nonlocal number
        number += 1
        settings: dict[str, Any] = {"role": "tool", "cores": (), "image": "tiny", **more}
        command = ("-u", "-c", program) if program else ()
        return runtime.start(
            ServiceSpec(name=f"it-{number}", config={"do": do, **(config or {})}, command=command, **settings)
        )

    yield start_it
    runtime.clean()
