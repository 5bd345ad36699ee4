"""httpd's configuration, made of what the server is told."""

from pathlib import Path

import pytest

from apache.settings import Paths, checked, configuration
from common.config import BackendAddress, ConfigError
from common.keeper import refuse_handler
from harness.spec.experiment import Scalar
from tests.servers.conftest import HANDLER, told

PATHS = Paths(own=Path("/own"), body=Path("/own/body"), dummies=Path("/own/dummies"))
AMOUNTS = (
    "Include",
    "StartServers",
    "MinSpare",
    "MaxSpare",
    "ServerLimit",
    "ThreadLimit",
    "ThreadsPerChild",
    "MaxRequestWorkers",
)


def lines(**options: Scalar) -> list[str]:
    return configuration(told("apache", options), PATHS).splitlines()


@pytest.mark.parametrize("mpm", ["prefork", "worker", "event"])
def test_upstream_says_nothing_of_how_many_there_are(mpm: str) -> None:
    assert [line for line in lines(mpm=mpm) if line.startswith(AMOUNTS)] == []


@pytest.mark.parametrize("mpm", ["prefork", "worker", "event"])
def test_the_distribution_is_its_own_file(mpm: str) -> None:
    amounts = [line for line in lines(mpm=mpm, defaults="distribution") if line.startswith(AMOUNTS)]
    assert amounts == [f"Include /etc/apache2/mods-available/mpm_{mpm}.conf"]


def test_what_is_set_comes_after_the_distribution() -> None:
    said = lines(mpm="worker", defaults="distribution", max_request_workers=50, threads_per_child=10)
    amounts = [line for line in said if line.startswith(AMOUNTS)]
    assert amounts[0].startswith("Include ")
    assert amounts[1:] == ["ThreadsPerChild 10", "MaxRequestWorkers 50"]


def test_every_key_has_its_name() -> None:
    said = lines(
        mpm="prefork", listen_backlog=7, keep_alive_timeout=600, timeout=0, accept_filter="none", server_limit=9
    )
    assert {"ListenBacklog 7", "KeepAliveTimeout 600", "Timeout 0", "AcceptFilter http none", "ServerLimit 9"} <= set(
        said
    )
    assert said.index("ListenBacklog 4096") < said.index("ListenBacklog 7")


@pytest.mark.parametrize(
    ("mpm", "name"),
    [
        ("prefork", "threads_per_child"),
        ("worker", "min_spare_servers"),
        ("event", "max_spare_servers"),
        ("prefork", "thread_limit"),
    ],
)
def test_a_key_that_the_mpm_does_not_know_is_told(mpm: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"options.{name}: .* is nothing that mpm {mpm} knows; leave it at -1"):
        lines(mpm=mpm, **{name: 5})


def test_an_address_of_ip_6_is_in_brackets() -> None:
    assert "Listen [::1]:8080" in configuration(told("apache", {}, host="::1"), PATHS).splitlines()


@pytest.mark.parametrize(
    ("name", "value"), [("mpm", "itk"), ("mpm", 1), ("max_request_workers", "150"), ("server_limit", True)]
)
def test_an_option_of_another_type_is_told(name: str, value: Scalar) -> None:
    with pytest.raises(ConfigError, match=f"options.{name} must be"):
        checked(told("apache", {name: value}))


@pytest.mark.parametrize(
    ("key", "handler"),
    [
        ("kind", HANDLER._replace(kind="echo")),
        ("cpu_iterations", HANDLER._replace(cpu_iterations=1)),
        ("log", HANDLER._replace(log="flush")),
        ("backend", HANDLER._replace(backend=BackendAddress("127.0.0.1", 1, 1.0))),
        ("fault", HANDLER._replace(fault="crash")),
    ],
)
def test_what_it_cannot_do_is_refused(key: str, handler: object) -> None:
    refuse_handler(told("apache", {}))
    with pytest.raises(ConfigError, match=f"apache: handler.{key} is not what this server can do"):
        refuse_handler(told("apache", {}, handler=handler))  # type: ignore[arg-type] # of HANDLER's type
