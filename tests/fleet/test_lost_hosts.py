"""What is lost in the middle of a trial over hosts, on purpose: nothing finished is lost, and no part is taken for the whole."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.under_way import (
    begun,
    made_again,
    nothing_is_left,
    nothing_is_left_after_cleaning,
    records,
    running,
    running_on,
)
from tests.run.conftest import Command, harness
from tests.testbed_fixture import Testbed

__all__ = ["harness"]

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(500)]

WORKED = ("ok", "marked", "invalid")  # a busy machine may spoil numbers, never the run
LEAVING_S = 300.0  # for a host that stays away: connecting, patience, waiting for its return
LEASE_OVER_S = 150.0  # a lease, and removing what it was for
ROLES = ("client", "server", "server")  # what of a run each host has

ONE_OR_TWO = """\
version: 1
title: One host is lost, which half of the trials do without
base:
  model: reactor
  load: {connections: 4, warmup: 100 ms, window: 4 s}
factors:
  servers:
    - {label: one, set: {servers: 1, balancer: none}}
    - {label: two, set: {servers: 2, balancer: direct}}
repeats: 2
canary: false
"""
ENDLESS = """\
version: 1
title: Load that nobody ends
base:
  model: reactor
  clients: 2
  servers: 2
  balancer: direct
  load: {connections: 4, warmup: 100 ms, window: 600 s}
repeats: 1
canary: false
"""


def test_a_client_that_is_killed_fails_its_trial_only(
    harness: Command, testbed: Testbed, inside: list[Any], spec: Path
) -> None:
    with running(testbed.inventory, spec) as run:
        run.wait_for(lambda: running_on(inside[0], "client"))
        inside[0].exec_run(["docker", "kill", *running_on(inside[0], "client")])
        assert run.ends() == 1, run.log.read_text()
    first, second = records(spec)
    assert (first["state"], first["client"]) == ("failed", None)
    assert "ended with status 137" in first["reason"]  # of a container that was killed
    assert second["state"] in WORKED
    nothing_is_left_after_cleaning(harness, testbed)


def test_one_of_two_clients_that_is_killed_leaves_no_number_of_the_other(
    two_client_hosts: Path, inside: list[Any], spec: Path
) -> None:
    with running(two_client_hosts, spec) as run:
        run.wait_for_load(inside[0], inside[2])
        inside[2].exec_run(["docker", "kill", *running_on(inside[2], "client")])
        assert run.ends() == 1, run.log.read_text()
    first, second = records(spec)
    assert (first["state"], first["client"]) == ("failed", None)
    assert second["state"] in WORKED


def test_an_engine_that_is_restarted_fails_the_trial_whose_server_it_took(
    harness: Command, testbed: Testbed, inside: list[Any], spec: Path
) -> None:
    server_host = inside[1]
    with running(testbed.inventory, spec) as run:
        run.wait_for_load(inside[0])
        assert running_on(server_host, "server")
        engine = server_host.exec_run(["pgrep", "-o", "-x", "dockerd"]).output.decode().strip()
        assert server_host.exec_run(["kill", "-TERM", engine]).exit_code == 0  # the host starts it again
        assert run.ends() == 1, run.log.read_text()
    assert "Traceback" not in run.log.read_text()
    first, second = records(spec)
    assert first["state"] == "failed"
    assert "host-2" in first["reason"], first["reason"]  # whichever of the services there is missed first
    assert second["state"] in WORKED, second["reason"]
    nothing_is_left_after_cleaning(harness, testbed)


def test_a_host_that_is_killed_and_comes_back_voids_the_trial_which_is_made_again(
    harness: Command, testbed: Testbed, inside: list[Any], spec: Path
) -> None:
    with running(testbed.inventory, spec) as run:
        run.wait_for(lambda: running_on(inside[0], "client"))
        inside[1].kill()
        inside[1].start()
        assert run.ends() == 0, run.log.read_text()
    again = made_again(spec)
    assert any("started anew" in reason for reason in again), again
    assert [record["state"] in WORKED for record in records(spec)] == [True, True]
    nothing_is_left_after_cleaning(harness, testbed)


@pytest.mark.soak  # waits until all patience is over: minutes
def test_a_host_that_stays_away_fails_what_needs_it_and_the_rest_goes_on(
    harness: Command, testbed: Testbed, inside: list[Any], tmp_path: Path
) -> None:
    spec, victim = tmp_path / "away.yaml", inside[2]
    spec.write_text(ONE_OR_TWO)
    with running(testbed.inventory, spec) as run:
        run.wait_for(lambda: running_on(victim, "server"))
        before = records(spec)
        victim.kill()
        assert run.ends(LEAVING_S) == 1, run.log.read_text()
    assert "Traceback" not in run.log.read_text()
    found = records(spec)
    assert found[: len(before)] == before
    needed = {record["id"]: "failed" for record in found if record["factors"]["servers"] == "two"}
    assert {record["id"]: record["state"] for record in found if record["state"] == "failed"} == needed
    assert len(found) == 2 * len(needed) == 4
    for record in found:
        assert record["state"] in WORKED or "host-3" in record["reason"], record["reason"]
    testbed.restore()
    options = ("--hosts", testbed.inventory, "--results", tmp_path / "results", "--resume", "--retry")
    done = harness("run", spec, *options, timeout_s=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [record["state"] in WORKED for record in records(spec)] == [True] * 4
    assert [record for record in records(spec) if record["id"] not in needed] == [
        record for record in found if record["id"] not in needed
    ]
    nothing_is_left_after_cleaning(harness, testbed)


def test_a_controller_that_is_killed_loses_nothing_that_is_finished_and_its_run_goes_on(
    harness: Command, testbed: Testbed, spec: Path, tmp_path: Path
) -> None:
    with running(testbed.inventory, spec) as run:
        run.wait_for(lambda: len(begun(spec)) == 2)
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
    finished = records(spec)
    assert len(finished) == 1
    options = ("--hosts", testbed.inventory, "--results", tmp_path / "results", "--resume")
    done = harness("run", spec, *options, timeout_s=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert records(spec)[0] == finished[0]
    assert len(records(spec)) == 2
    nothing_is_left(harness, testbed)


@pytest.mark.soak  # waits for a whole lease: minutes
def test_the_load_of_a_controller_that_is_killed_ends_with_its_lease_on_every_host(
    harness: Command, testbed: Testbed, inside: list[Any], tmp_path: Path
) -> None:
    spec = tmp_path / "endless.yaml"
    spec.write_text(ENDLESS)
    with running(testbed.inventory, spec) as run:
        run.wait_for_load(inside[0])
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
        assert [bool(running_on(host, role)) for host, role in zip(inside, ROLES, strict=True)] == [True] * 3
        run.wait_for(lambda: not any(running_on(host) for host in inside), LEASE_OVER_S)
    nothing_is_left_after_cleaning(harness, testbed)
