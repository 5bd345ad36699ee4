"""What stands in the way of a remote engine is one line that names the host and says what to do."""

from pathlib import Path

import pytest

from harness.errors import HostError, RuntimeUnavailable
from harness.runtime.docker.over_ssh import connect_over
from harness.runtime.docker.patience import WayLost
from harness.runtime.docker.refusal import refusal
from tests.afar.conftest import HOST
from tests.ssh.sshd import free_port, running_sshd

SAID = {
    "no command": (127, "bash: line 1: docker: command not found", RuntimeUnavailable, "no Docker there"),
    "no permission": (
        1,
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        RuntimeUnavailable,
        "no permission on its Docker engine",
    ),
    "an older command's words for it": (
        1,
        "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock:"
        ' Get "http://%2Fvar%2Frun%2Fdocker.sock/_ping": dial unix /var/run/docker.sock: connect: permission denied',
        RuntimeUnavailable,
        "no permission on its Docker engine",
    ),
    "not running": (
        1,
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        WayLost,
        "its Docker engine is not running",
    ),
    "too old a command": (1, "docker: 'dial-stdio' is not a docker command.", RuntimeUnavailable, "is too old"),
    "anything else": (3, "a surprise\non two lines", WayLost, "ended with status 3: a surprise on two lines"),
    "nothing": (-1, "", WayLost, "ended with status -1: it said nothing"),
}


@pytest.mark.parametrize(("status", "said", "kind", "told"), SAID.values(), ids=SAID.keys())
def test_what_the_docker_command_says_becomes_a_line(status: int, said: str, kind: type, told: str) -> None:
    error = refusal("box", status, said)
    assert type(error) is kind
    assert str(error).startswith("box: ")
    assert told in str(error)
    assert "\n" not in str(error)


WITHOUT = {
    "no docker command": ("PATH=/nowhere", r"^afar: no Docker there .*harness hosts prepare"),
    "no engine": (
        "DOCKER_HOST=unix:///nowhere/docker.sock",
        r"^afar: its Docker engine is not running; start it there",
    ),
}


@pytest.mark.docker
@pytest.mark.parametrize(("environment", "told"), WITHOUT.values(), ids=WITHOUT.keys())
def test_an_engine_that_cannot_be_reached_is_told(tmp_path: Path, environment: str, told: str) -> None:
    with running_sshd(tmp_path / "sshd", more={"AllowStreamLocalForwarding": "no", "SetEnv": environment}) as server:
        connection = server.connection(tmp_path, HOST)
        with pytest.raises(RuntimeUnavailable, match=told):
            connect_over(connection.transport, HOST)
        connection.close()


def test_a_host_that_cannot_be_reached_is_told_as_that(tmp_path: Path) -> None:
    port = free_port()
    with running_sshd(tmp_path / "sshd", port=port) as server:
        connection = server.connection(tmp_path, HOST)
    with pytest.raises(HostError, match=r"^afar: .*refuses connections"):
        connect_over(connection.transport, HOST)
