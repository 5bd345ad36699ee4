"""What is lost in the middle of a trial over hosts, on purpose: nothing finished is lost, and no part is taken for the whole."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from harness.images import connect
from tests.run.conftest import ROOT, Command, harness
from tests.testbed_fixture import Testbed

__all__ = ["harness"]

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

SPEC = """\
version: 1
title: Something is lost
base:
  model: reactor
  load: {connections: 4, warmup: 100 ms, window: 4 s}
factors:
  load.connections: [2, 4]
repeats: 1
canary: false
"""
DEADLINE_S = 120.0


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "lost.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    """Of this machine: the hosts are its containers."""
    client = connect()
    yield client
    client.close()


@contextlib.contextmanager
def running(testbed: Testbed, spec: Path, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The command, at work."""
    options = ["--hosts", str(testbed.inventory), "--results", str(spec.parent / "results")]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", "run", str(spec), *options], cwd=ROOT, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def journal(spec: Path) -> list[dict[str, Any]]:
    found = list((spec.parent / "results").glob("lost/latest/journal.jsonl"))
    return [json.loads(line) for line in found[0].read_text().splitlines()] if found else []


def begun(spec: Path) -> list[str]:
    """Trials that have begun, each as often as it has."""
    return [str(line["id"]) for line in journal(spec) if line["event"] == "trial begins"]


def records(spec: Path) -> list[dict[str, Any]]:
    found = (spec.parent / "results").glob("lost/latest/trials/*/trial.json")
    return sorted((json.loads(path.read_bytes()) for path in found), key=lambda record: int(record["order"]))


def wait_for(what: Callable[[], object], log: Path) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.1)


def clients_on(host: Any) -> list[str]:
    """Load clients that run on a host of the testbed."""
    told = host.exec_run(["docker", "ps", "-q", "--filter", "label=ceiling.role=client"])
    return list(told.output.decode().split())


def test_a_client_that_is_killed_fails_its_trial_only(
    testbed: Testbed, engine: docker.DockerClient, spec: Path, tmp_path: Path
) -> None:
    log, host = tmp_path / "log", engine.containers.get(testbed.containers[0])
    with running(testbed, spec, log) as process:
        wait_for(lambda: clients_on(host), log)
        host.exec_run(["docker", "kill", *clients_on(host)])
        assert process.wait(DEADLINE_S) == 1, log.read_text()
    first, second = records(spec)
    assert (first["state"], first["client"]) == ("failed", None)
    assert "ended with status 137" in first["reason"]  # of a container that was killed
    assert second["state"] != "failed"


def test_a_host_that_is_killed_and_comes_back_voids_the_trial_which_is_made_again(
    testbed: Testbed, engine: docker.DockerClient, spec: Path, tmp_path: Path
) -> None:
    log, client_host = tmp_path / "log", engine.containers.get(testbed.containers[0])
    with running(testbed, spec, log) as process:
        wait_for(lambda: clients_on(client_host), log)
        victim = engine.containers.get(testbed.containers[1])
        victim.kill()
        victim.start()
        assert process.wait(DEADLINE_S) == 0, log.read_text()
    again = [line["reason"] for line in journal(spec) if line["event"] == "trial again"]
    assert any("started anew" in reason for reason in again), again
    assert [record["state"] in ("failed", "void") for record in records(spec)] == [False, False]
    testbed.restore()


def test_a_controller_that_is_killed_loses_nothing_that_is_finished_and_its_run_goes_on(
    harness: Command, testbed: Testbed, spec: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with running(testbed, spec, log) as process:
        wait_for(lambda: len(begun(spec)) == 2, log)
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = records(spec)
    assert len(finished) == 1
    options = ("--hosts", testbed.inventory, "--results", tmp_path / "results", "--resume")
    done = harness("run", spec, *options, timeout_s=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert records(spec)[0] == finished[0]
    assert len(records(spec)) == 2
    cleaned = harness("clean", testbed.inventory, "--dry-run")
    rows = [line.split() for line in cleaned.stdout.splitlines() if line.strip().startswith("host-")]
    assert [row[1:] for row in rows] == [["0"] * 5] * 3, cleaned.stdout
