"""The way to the Docker engine of this host, and what stands in it when there is none."""

import os
import shutil
import socket
from pathlib import Path

import docker
from docker.errors import DockerException
from docker.utils import version_lt

from harness.errors import RuntimeUnavailable

DEFAULT_SOCKET = "/var/run/docker.sock"
CONNECT_DEADLINE_S = 5
OLDEST_API = "1.41"  # Docker 20.10: the first with cgroup v2 and the cgroup namespace that the probe asks for
CONNECTIONS = 32  # kept open; builds, log streams and waits hold one each while they last


def connect(timeout_s: int = 60) -> docker.DockerClient:
    """A client of the local engine, checked to answer within 5 s.

    `DOCKER_HOST` may name another Unix socket. A TCP port is refused: whoever reaches one owns the machine.

    Args:
        timeout_s: deadline of each later request, and of each silence within a streamed answer.

    Raises:
        RuntimeUnavailable: no engine, no permission, not running, silent, or too old; which of them, and what to do.
    """
    path = _socket_path()
    _knock(path)
    try:
        client = docker.DockerClient(f"unix://{path}", "auto", CONNECT_DEADLINE_S, max_pool_size=CONNECTIONS)
    except (DockerException, OSError) as error:
        raise RuntimeUnavailable(f"what listens at {path} does not answer as Docker does: {error}") from None
    if version_lt(client.api.api_version, OLDEST_API):
        client.close()
        raise RuntimeUnavailable(
            f"the Docker engine at {path} speaks API {client.api.api_version}, {OLDEST_API} is the oldest that will do; "
            "install Docker 20.10 or newer"
        )
    client.api.timeout = timeout_s
    return client


def _socket_path() -> str:
    host = os.environ.get("DOCKER_HOST") or f"unix://{DEFAULT_SOCKET}"
    scheme, _, path = host.partition("://")
    if scheme != "unix" or not path.startswith("/"):
        raise RuntimeUnavailable(f"DOCKER_HOST={host} is not a Unix socket; unset it, or set it to unix:///PATH")
    return path


def _knock(path: str) -> None:
    """Tell the ways apart in which an engine can be out of reach."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CONNECT_DEADLINE_S)
            connection.connect(path)
    except PermissionError:
        raise RuntimeUnavailable(
            f"no permission on {path}; join its group ({_group(path)}) with `usermod -aG` and log in again"
        ) from None
    except TimeoutError:
        raise RuntimeUnavailable(f"the Docker engine at {path} does not answer; restart it") from None
    except OSError:
        if not Path(path).exists() and shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
            raise RuntimeUnavailable(f"no Docker here (no {path}); install Docker and start it") from None
        raise RuntimeUnavailable(
            f"the Docker engine is not running (nobody listens at {path}); start it: `systemctl start docker`"
        ) from None


def _group(path: str) -> str:
    try:
        return Path(path).group()
    except (KeyError, OSError):
        return "docker"
