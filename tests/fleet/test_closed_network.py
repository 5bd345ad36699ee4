"""Hosts whose network is closed to the controller, as a cloud's is: nothing of them is reached but their SSH."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from harness import store
from harness.images import connect
from harness.images.base import ensure_base
from harness.images.settings import Settings
from harness.result import TrialResult
from harness.spec.inventories import load_inventory
from tests.client.certificates import Authority
from tests.docker.ready import build_ready
from tests.run.conftest import Command, harness
from tests.testbed_fixture import ROOT, Testbed

__all__ = ["harness"]

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(500), pytest.mark.usefixtures("closed")]

WORKED = ("ok", "marked", "invalid")  # a busy machine may spoil numbers, never the run
EXIT_FAILED = 1  # a trial has failed, and the others have a report
SOME_PORT = 18_000  # of those that services get

HEAD = """\
version: 1
title: What does a host tell that only SSH reaches?
base:
  load: {connections: 6, warmup: 100 ms, window: 700 ms, timeout: 600 ms}
repeats: 1
canary: false
"""
KINDS = """\
factors:
  balancer:
    - {label: alone, set: {servers: 1, balancer: none}}
    - {label: balanced, set: {servers: 2, balancer: haproxy-tcp}}
  load.kind:
    - {label: ordinary, set: {model: reactor, load.kind: closed}}
    - {label: search, set: {model: reactor, load.kind: capacity, load.rate: 2000/s, load.resolution: 50 %, load.confirmation: 1 s, slo.p50: 300 ms, slo.errors: 30 %}}
    - {label: crash, set: {model: prefork, load.kind: closed, handler.fault: crash, handler.fault_at: 300 ms}}
    - {label: herd, set: {model: prefork, load.kind: closed, faults: [{at: 300 ms, do: crash-handler}]}}
"""
HTTPS = """\
factors:
  model:
    - {{label: ours, set: {{model: {{{server}, ca: '{ca}'}}}}}}
    - {{label: stranger, set: {{model: {{{server}, ca: '{stranger}'}}}}}}
  load.kind:
    - {{label: ordinary, set: {{load.kind: closed}}}}
    - {{label: search, set: {{load.kind: capacity, load.rate: 400/s, load.resolution: 50 %, load.confirmation: 1 s, slo.p50: 300 ms, slo.errors: 30 %}}}}
"""


@pytest.fixture
def closed(testbed: Testbed) -> Iterator[None]:
    """No port of any host but SSH's takes anything from this machine."""
    client: docker.DockerClient = connect()
    hosts = load_inventory(testbed.inventory).hosts
    inside = [client.containers.get(name) for name in testbed.containers]
    rules = [["-s", _seen_as(host), "-p", "tcp", "!", "--dport", "22", "-j", "DROP"] for host in inside]
    with contextlib.ExitStack() as undone:
        undone.callback(client.close)
        for host, rule in zip(inside, rules, strict=True):
            assert host.exec_run(["iptables", "-I", "INPUT", *rule]).exit_code == 0
            undone.callback(host.exec_run, ["iptables", "-D", "INPUT", *rule])
        for address in [str(one.data) for one in hosts.values()]:
            with pytest.raises(TimeoutError):
                socket.create_connection((address, SOME_PORT), 0.3)
            socket.create_connection((address, 22), 5).close()
        yield


def _seen_as(host: Any) -> str:
    """This machine's address, as a host of a testbed sees it: the gateway of its network."""
    (network,) = host.attrs["NetworkSettings"]["Networks"].values()
    return str(network["Gateway"])


def run(harness: Command, testbed: Testbed, folder: Path, text: str, status: int = 0) -> list[TrialResult]:
    spec, results = folder / "closed.yaml", folder / "results"
    spec.write_text(text)
    done = harness("run", spec, "--hosts", testbed.inventory, "--results", results, timeout_s=450)
    assert done.returncode == status, done.stdout + done.stderr
    return list(store.read_trials(results / "closed" / "latest"))


def test_every_kind_of_trial_works_with_a_balancer_and_without(
    harness: Command, testbed: Testbed, tmp_path: Path
) -> None:
    trials = run(harness, testbed, tmp_path, HEAD + KINDS)
    assert len(trials) == 8
    for trial in trials:
        assert trial.state in WORKED, (trial.id, trial.reason)
        assert trial.client is not None
        assert trial.client.ok > 0
        _kept_its_promise(trial)


def _kept_its_promise(trial: TrialResult) -> None:
    kind = trial.factors["load.kind"]
    if kind == "search":
        assert trial.capacity is not None
        assert len(trial.capacity.steps) > 1  # between two of them the server was asked whether it answers
    elif kind == "crash":
        assert trial.fault is not None
        assert trial.fault.sent_ns is not None
        assert trial.fault.outcome in ("closed", "reset", "answered"), trial.fault
    elif kind == "herd":
        (fault,) = trial.faults
        assert fault.outcome == "done", fault.detail
    if kind != "crash":
        assert not any("no answer" in note for note in trial.notes), trial.notes


@pytest.fixture
def https_image(testbed: Testbed, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A ready image that speaks https, and the authority of its certificate, which names no address."""
    client: docker.DockerClient = connect()
    base = ensure_base(client, ROOT / "images", Settings.from_environment(), testbed.places.state, print)
    authority, name = Authority.make(tmp_path / "authority"), f"ceiling-test/closed-api:{os.getpid()}"
    build_ready(client, base.id, name, authority, 8443)
    yield name, authority.pem
    client.images.remove(name, force=True)
    client.close()


def test_a_ready_image_that_speaks_https_is_proved_and_searched(
    harness: Command, testbed: Testbed, https_image: tuple[str, Path], tmp_path: Path
) -> None:
    name, pem = https_image
    (tmp_path / "other.pem").write_bytes(Authority.make(tmp_path / "other").pem.read_bytes())
    server = f"image: '{name}', port: 8443, https: true, env: {{LISTENS: '8443', TLS: '1'}}"
    text = HEAD + HTTPS.format(server=server, ca=pem, stranger=tmp_path / "other.pem")
    trials = {
        (trial.factors["model"], trial.factors["load.kind"]): trial
        for trial in run(harness, testbed, tmp_path, text, EXIT_FAILED)
    }
    for kind in ("ordinary", "search"):
        good, bad = trials["ours", kind], trials["stranger", kind]
        assert good.state in WORKED, good.reason
        assert good.client is not None
        assert good.client.ok > 0
        assert bad.state == "failed"
        assert "its certificate is not trusted" in str(bad.reason)
    assert trials["ours", "search"].capacity is not None
