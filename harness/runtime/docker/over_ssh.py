"""The Docker SDK over an SSH connection that somebody else holds."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import docker
from docker.utils import version_lt
from paramiko import Transport
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from harness.errors import HarnessError, RuntimeUnavailable
from harness.runtime.docker.channel import SOCKET, EngineSocket, Road
from harness.runtime.docker.patience import FAILURES, reason

OLDEST_API = "1.41"  # Docker 20.10, as of the local engine
CONNECT_S = 30  # the first question, connecting by SSH included
CONNECTIONS = 32  # kept open
BLOCK_BYTES = 1 << 18  # of a file that is sent

# What goes wrong is raised, in a line; paramiko would print it, too, where nobody has set up logging.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

Open = Callable[[float | None], EngineSocket]


def connect_over(transport: Callable[[], Transport], name: str, timeout_s: int = 60) -> docker.DockerClient:
    """A client of a remote engine: each of its HTTP connections is a channel of the one SSH connection.

    Nothing is kept of a connection that was lost: the next request opens its channel on the one that stands then. A
    request on a connection that is black-holed fails within about 20 s, however long its own deadline is.

    Args:
        transport: gives the live transport, connected anew where it was lost.
        name: the host's, for messages.
        timeout_s: deadline of each request, and of each silence within a streamed answer.

    Raises:
        HostError: the host cannot be reached.
        RuntimeUnavailable: no engine, no permission, not running, or too old; which of them, and what to do.
    """
    road = Road(name)
    adapter = ChannelAdapter(lambda limit_s: road.open(transport(), limit_s))
    try:
        version = _client(adapter, OLDEST_API, CONNECT_S).version(api_version=False)["ApiVersion"]
    except HarnessError:
        raise
    except (*FAILURES, KeyError, ValueError) as error:
        raise RuntimeUnavailable(_named(name, reason(error))) from None
    if version_lt(version, OLDEST_API):
        raise RuntimeUnavailable(
            f"{name}: its Docker engine speaks API {version}, {OLDEST_API} is the oldest that will do;"
            " install Docker 20.10 or newer"
        )
    return _client(adapter, version, timeout_s)


def _client(adapter: HTTPAdapter, version: str, timeout_s: int) -> docker.DockerClient:
    """A client that would reach a Unix socket, had it not been given another adapter for that."""
    client = docker.DockerClient(f"unix://{SOCKET}", version, timeout_s)
    client.api.trust_env = False
    client.api.mount("http+docker://", adapter)
    return client


def _named(name: str, why: str) -> str:
    return why if why.startswith(f"{name}: ") else f"{name}: its Docker engine does not answer: {why}"


class ChannelConnection(HTTPConnection):
    """An HTTP connection over a channel."""

    def __init__(self, open_channel: Open) -> None:
        super().__init__("localhost", blocksize=BLOCK_BYTES)
        self._open_channel = open_channel

    def connect(self) -> None:
        """Open the channel."""
        limit_s = self.timeout
        self.sock = self._open_channel(float(limit_s) if isinstance(limit_s, int | float) else None)

    @property
    def is_connected(self) -> bool:
        """Whether nothing speaks against its being used again."""
        return isinstance(self.sock, EngineSocket) and self.sock.connected


class ChannelPool(HTTPConnectionPool):
    """Connections to one engine."""

    def __init__(self, open_channel: Open) -> None:
        super().__init__("localhost", maxsize=CONNECTIONS)
        self._open_channel = open_channel

    def _new_conn(self) -> HTTPConnection:
        self.num_connections += 1
        return ChannelConnection(self._open_channel)


class ChannelAdapter(HTTPAdapter):
    """What a session sends requests by."""

    def __init__(self, open_channel: Open) -> None:
        super().__init__()
        self._open_channel = open_channel
        self._pool = ChannelPool(open_channel)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:  # noqa: ANN401 - whatever is asked
        """The one pool."""
        return self._pool

    def request_url(self, request: PreparedRequest, proxies: Mapping[str, str] | None) -> str:  # noqa: ARG002
        """Never a proxy's."""
        return request.path_url

    def close(self) -> None:
        """Close what is kept open; a later request opens its own anew, as with the SDK's adapters."""
        super().close()
        self._pool.close()
        self._pool = ChannelPool(self._open_channel)
