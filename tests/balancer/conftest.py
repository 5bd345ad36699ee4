"""A real HAProxy as a plain process, in front of small servers in threads of the test."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from haproxy.counters import Counters
from harness.balancer import BalancerUp, balancer_up
from harness.fleet import Site, site_here
from harness.runtime.base import make_owner
from harness.runtime.process import ProcessRuntime
from harness.spec.contract import BalancedAddress
from harness.spec.experiment import Trial
from tests.client.servers import Make, Server, running

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 20.0

Balance = Callable[..., AbstractContextManager[BalancerUp]]
Serving = Callable[[Make], Server]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    runtime = ProcessRuntime(make_owner("test-balancer"), ROOT / "images", tmp_path)
    yield site_here(runtime)
    runtime.clean()


@pytest.fixture
def serve() -> Iterator[Serving]:
    """Start a server; all are stopped afterwards."""
    with ExitStack() as up:
        yield lambda make: up.enter_context(running(make))


@pytest.fixture
def balance(site: Site) -> Balance:
    """A balancer in front of these servers, and what its trial says of it."""

    def up(kind: str, servers: list[Server], **said: Any) -> AbstractContextManager[BalancerUp]:
        trial = Trial.model_validate({"servers": len(servers), "balancer": kind, **said})
        return balancer_up(site, "test", trial, behind(servers), (), [])

    return up


def behind(servers: list[Server]) -> list[BalancedAddress]:
    return [BalancedAddress(name=f"server-{n}", host=one.host, port=one.port) for n, one in enumerate(servers, 1)]


def haproxy_in(workplace: Path) -> Counters:
    """The one HAProxy that runs there, asked by the admin socket that its configuration names."""
    (text,) = workplace.glob("*/ceiling/haproxy.cfg")
    words = next(line.split() for line in text.read_text().splitlines() if "stats socket" in line)
    return Counters(words[2], "http")


def connected(up: BalancerUp) -> http.client.HTTPConnection:
    """A connection of a client, on which nothing is asked yet."""
    return http.client.HTTPConnection("127.0.0.1", up.port, timeout=DEADLINE_S)


def ask(connection: http.client.HTTPConnection) -> int:
    """One request on it; the status of the answer."""
    connection.request("GET", "/")
    response = connection.getresponse()
    response.read()
    return response.status


def ask_anew(up: BalancerUp) -> int:
    """One request on a connection of its own."""
    connection = connected(up)
    try:
        return ask(connection)
    finally:
        connection.close()
