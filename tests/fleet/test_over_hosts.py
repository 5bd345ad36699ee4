"""A run over the hosts of an inventory, as a person starts it: real hosts, real SSH, real engines."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.hosts.ssh import connect_all
from harness.images import Engine, connect, ensure_everywhere
from harness.runtime.base import make_owner
from harness.runtime.docker.over_ssh import connect_over
from harness.runtime.docker.warden import hold
from harness.spec.inventories import load_inventory
from tests.fleet.under_way import nothing_is_left
from tests.run.conftest import ROOT, Command, harness
from tests.testbed_fixture import Testbed

__all__ = ["harness"]

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

SPEC = """\
version: 1
title: Two servers on two hosts, behind a balancer and without one
base:
  model: reactor
  servers: 2
  clients: 2
  load: {connections: 8, warmup: 100 ms, window: 400 ms}
factors:
  balancer: [haproxy-tcp, direct]
repeats: 1
canary: false
"""
WORKED = ("ok", "marked", "invalid")  # a busy machine may spoil numbers, never the run


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "several.yaml"
    path.write_text(SPEC)
    return path


def records(results: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_bytes()) for path in results.glob("several/latest/trials/*/trial.json")]
    return {record["factors"]["balancer"]: record for record in found}


def test_servers_balancer_and_clients_are_spread_and_every_answer_is_counted(
    harness: Command, testbed: Testbed, spec: Path, tmp_path: Path
) -> None:
    done = harness("run", spec, "--hosts", testbed.inventory, "--results", tmp_path / "results", timeout_s=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = records(tmp_path / "results")
    assert set(found) == {"haproxy-tcp", "direct"}
    for record in found.values():
        assert record["state"] in WORKED, record["reason"]
        placed = {name: use["services"] for name, use in record["hosts"].items()}
        assert [name for services in placed.values() for name in services if name.startswith("server")] == [
            "server-1",
            "server-2",
        ]
        assert len([services for services in placed.values() if any("server" in name for name in services)]) == 2
        counted = sum(server["requests"] for server in record["servers"].values())
        assert counted >= record["client"]["ok"] > 0
        assert all(use["clock_error_ns"] > 0 for use in record["hosts"].values())
    balanced = found["haproxy-tcp"]["balancer"]
    assert {server["name"] for server in balanced["servers"]} == {"server-1", "server-2"}
    assert all(server["connections"] > 0 for server in balanced["servers"])
    assert found["direct"]["balancer"] is None
    run = tmp_path / "results" / "several" / "latest"
    assert (run / "inventory.yaml").read_bytes() == testbed.inventory.read_bytes()
    assert set(json.loads((run / "environment.json").read_bytes())["hosts"]) == set(
        load_inventory(testbed.inventory).hosts
    )
    nothing_is_left(harness, testbed)


def test_a_host_that_another_run_holds_is_refused_with_who_holds_it(
    harness: Command, testbed: Testbed, spec: Path, tmp_path: Path
) -> None:
    inventory = load_inventory(testbed.inventory)
    connections = connect_all(inventory, testbed.inventory.parent)
    name = next(iter(connections))
    client = connect_over(connections[name].transport, name)
    engines = {"local": Engine.of("local", connect(), own=True), name: Engine.of(name, client)}
    images = ensure_everywhere(engines, ROOT / "images", ["warden"], [], tmp_path, print)
    try:
        with hold(client, images[name]["warden"].id, make_owner("another-run"), name, lease_s=60):
            done = harness("run", spec, "--hosts", testbed.inventory, "--results", tmp_path / "results", timeout_s=200)
    finally:
        client.close()
        for connection in connections.values():
            connection.close()
    assert done.returncode == 3
    assert f"host {name} is held by run another-run" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results" / "several").exists()


@pytest.mark.parametrize(
    ("change", "options", "status", "says"),
    [
        ("", ("--runtime", "process"), 3, "RUNTIME=process"),
        ("network: bridge", (), 2, "network: bridge"),
    ],
    ids=["processes", "a network of one host"],
)
def test_what_hosts_cannot_do_is_refused_before_they_are_reached(
    harness: Command, tmp_path: Path, change: str, options: tuple[str, ...], status: int, says: str
) -> None:
    spec, inventory = tmp_path / "several.yaml", tmp_path / "nowhere.yaml"
    spec.write_text(SPEC.replace("  clients: 2", f"  clients: 2\n  {change}"))
    inventory.write_text("version: 1\ntitle: nowhere\nhosts: {gone: {address: 127.0.0.1, data: 127.0.0.2, port: 1}}\n")
    done = harness("run", spec, "--hosts", inventory, "--results", tmp_path / "results", *options)
    assert (done.returncode, says in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_that_is_not_there_is_one_line_and_nothing_is_started(
    harness: Command, tmp_path: Path, spec: Path
) -> None:
    inventory = tmp_path / "nowhere.yaml"
    inventory.write_text("version: 1\ntitle: nowhere\nhosts: {gone: {address: 127.0.0.1, data: 127.0.0.2, port: 1}}\n")
    done = harness("run", spec, "--hosts", inventory, "--results", tmp_path / "results")
    assert done.returncode == 3
    assert [line for line in done.stderr.splitlines() if "gone: " in line], done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results" / "several").exists()
