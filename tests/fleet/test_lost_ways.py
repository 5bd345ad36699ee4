"""The way to a host is lost in the middle of a trial: the trial goes on without the controller, and is counted whole."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.under_way import (
    begun,
    journal,
    made_again,
    nothing_is_left_after_cleaning,
    records,
    running,
    running_on,
    shares,
)
from tests.run.conftest import Command, harness
from tests.testbed_fixture import Testbed

__all__ = ["harness"]

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(500)]

WORKED = ("ok", "marked", "invalid")  # a busy machine may spoil numbers, never the run
HOLE_S = 12.0  # longer than a trial, and than any silence after which a connection is asked for a sign of life
LEAVING_S = 300.0  # for a host that stays away: connecting, patience, waiting for its return


def _controller(host: Any) -> str:
    """This machine's address, as a host of a testbed sees it: the gateway of its network."""
    (network,) = host.attrs["NetworkSettings"]["Networks"].values()
    return str(network["Gateway"])


@contextlib.contextmanager
def ssh_is(target: list[str], hosts: list[Any]) -> Iterator[None]:
    """Whatever comes from the controller for these hosts' SSH has a fate; nothing else is touched."""
    rules = [["-s", _controller(host), "-p", "tcp", "--dport", "22", "-j", *target] for host in hosts]
    with contextlib.ExitStack() as lifted:
        for host, rule in zip(hosts, rules, strict=True):
            assert host.exec_run(["iptables", "-I", "INPUT", *rule]).exit_code == 0
            lifted.callback(host.exec_run, ["iptables", "-D", "INPUT", *rule])
        yield


def connections_of(host: Any) -> list[str]:
    """Processes of a host's sshd that have a connection each: all but the one that listens."""
    listener = host.exec_run(["pgrep", "-o", "-x", "sshd"]).output.decode().strip()
    return list(host.exec_run(["pgrep", "-P", listener]).output.decode().split())


def kill_ssh(hosts: list[Any]) -> None:
    for host in hosts:
        found = connections_of(host)
        assert found
        host.exec_run(["kill", "-KILL", *found])


def reset_ssh(hosts: list[Any]) -> None:
    with ssh_is(["REJECT", "--reject-with", "tcp-reset"], hosts):
        time.sleep(1.0)


def counted_whole(spec: Path) -> None:
    """Every trial of the spec was made once, and its number is of both of its clients."""
    assert made_again(spec) == []
    assert len(begun(spec)) == len(records(spec)) == 2
    for record in records(spec):
        assert record["state"] in WORKED, record["reason"]
        parts = [share["ok"] for share in shares(spec, record)]
        assert len(parts) == 2
        assert all(parts), parts
        assert record["client"]["ok"] == sum(parts)


@pytest.mark.parametrize("lose", [kill_ssh, reset_ssh])
def test_connections_that_are_reset_lose_nothing(
    harness: Command, testbed: Testbed, inside: list[Any], two_client_hosts: Path, spec: Path, lose: Any
) -> None:
    with running(two_client_hosts, spec) as run:
        run.wait_for_load(inside[0], inside[2])
        assert records(spec) == []
        lose(inside)
        assert run.ends() == 0, run.log.read_text()
    assert "Traceback" not in run.log.read_text()
    counted_whole(spec)
    nothing_is_left_after_cleaning(harness, testbed)


def test_a_black_hole_that_is_lifted_loses_nothing(
    harness: Command, testbed: Testbed, inside: list[Any], two_client_hosts: Path, spec: Path
) -> None:
    with running(two_client_hosts, spec) as run:
        run.wait_for_load(inside[0], inside[2])
        with ssh_is(["DROP"], inside):
            time.sleep(HOLE_S)
            assert records(spec) == []  # nobody could have told of any
        assert run.ends() == 0, run.log.read_text()
    assert "Traceback" not in run.log.read_text()
    counted_whole(spec)
    nothing_is_left_after_cleaning(harness, testbed)


@pytest.mark.soak  # waits until all patience is over: minutes
def test_a_black_hole_that_stays_fails_what_needs_the_host_with_the_reason(
    harness: Command, testbed: Testbed, inside: list[Any], two_client_hosts: Path, spec: Path
) -> None:
    server_host = inside[1]
    with running(two_client_hosts, spec) as run:
        run.wait_for_load(inside[0], inside[2])
        assert running_on(server_host, "server")
        with ssh_is(["DROP"], [server_host]):
            assert run.ends(LEAVING_S) == 1, run.log.read_text()
    assert "Traceback" not in run.log.read_text()
    assert len(records(spec)) == 2
    for record in records(spec):
        assert record["state"] == "failed"
        assert "host-2" in record["reason"], record["reason"]
    assert journal(spec)[-1]["event"] == "trial ends"
    nothing_is_left_after_cleaning(harness, testbed)
