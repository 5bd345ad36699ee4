"""nginx's configuration, made of what the server is told."""

from pathlib import Path

import pytest

from common.config import ConfigError
from harness.spec.experiment import Scalar
from nginx.settings import Paths, configuration
from tests.servers.conftest import HANDLER, told

PATHS = Paths(own=Path("/own"), body=Path("/own/body"), status=Path("/own/status"), log=Path("/out/access.log"))


def lines(**options: Scalar) -> set[str]:
    return {line.strip() for line in configuration(told("nginx", options), PATHS).splitlines()}


def test_who_accepts() -> None:
    assert {"accept_mutex off;", "listen 127.0.0.1:8080 backlog=4096;", "worker_processes 1;"} <= lines()
    assert {"accept_mutex on;", "worker_processes 4;"} <= lines(workers=4, accept_mutex=True)
    assert "listen 127.0.0.1:8080 backlog=9 reuseport;" in lines(reuseport=True, listen_backlog=9)


def test_kept_connections_are_nginxs_own_business_or_ours() -> None:
    assert not [line for line in lines(keepalive_requests=-1) if line.startswith("keepalive_")]
    assert "keepalive_requests 1000000000;" in lines()
    assert {"keepalive_timeout 600s;", "keepalive_requests 5;"} <= lines(keepalive_timeout=600, keepalive_requests=5)


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        ("off", "access_log off;"),
        ("buffered", "access_log /out/access.log models buffer=64k;"),
        ("flush", "access_log /out/access.log models;"),
    ],
)
def test_the_access_log(mode: str, line: str) -> None:
    handler = HANDLER._replace(log=mode)  # type: ignore[arg-type] # one of its words
    assert line in {said.strip() for said in configuration(told("nginx", {}, handler=handler), PATHS).splitlines()}


@pytest.mark.parametrize(
    ("name", "value"), [("workers", "1"), ("workers", True), ("reuseport", 1), ("accept_mutex", "on")]
)
def test_an_option_of_another_type_is_told(name: str, value: Scalar) -> None:
    with pytest.raises(ConfigError, match=f"options.{name} must be of type"):
        lines(**{name: value})
