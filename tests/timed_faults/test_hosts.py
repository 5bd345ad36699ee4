"""Faults of whole hosts and of their network, on a testbed: real hosts as far as SSH, Docker and the kernel's tables go."""

import re
from pathlib import Path
from typing import Any

import pytest

from harness import store
from harness.errors import HostError
from harness.hosts.remote import boot_id
from harness.hosts.ssh import connect_all
from harness.images import Engine, connect, ensure_everywhere
from harness.result import TrialResult
from harness.runtime.base import make_owner
from harness.runtime.docker.over_ssh import connect_over
from harness.runtime.docker.warden import NAME, hold
from harness.spec.inventories import load_inventory
from tests.fleet.under_way import made_again, running
from tests.run.conftest import ROOT, Command
from tests.run.conftest import harness as harness  # noqa: PLC0414 - a fixture
from tests.testbed_fixture import Testbed

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

SPEC = """\
version: 1
title: What does a fault of a host take with it?
base:
  model: reactor
  servers: 2
  balancer: haproxy-tcp
  balancing: {interval: 100 ms, fall: 2, rise: 1, check: http}  # a frozen testbed host still takes connects: its kernel lives
  load: {kind: open, rate: 100/s, connections: 8, lifetime: 20, warmup: 200 ms, window: 6 s, timeout: 500 ms}
factors:
  faults:
    - {label: partition, set: {faults: [{at: 1 s, do: partition, server: 2, lasts: 1500 ms}]}}
    - {label: freeze, set: {faults: [{at: 1 s, do: freeze-host, server: 2, lasts: 1500 ms}]}}
    - {label: kill, set: {faults: [{at: 1 s, do: kill-host, server: 2, lasts: 1500 ms}]}}
repeats: 1
canary: false
"""


def tables_of(testbed: Testbed) -> str:
    """The rules that are left on the hosts."""
    client: Any = connect()
    try:
        told = (client.containers.get(name).exec_run(["iptables-save"]) for name in testbed.containers)
        return "".join(one.output.decode() for one in told)
    finally:
        client.close()


def test_a_host_that_is_cut_off_frozen_or_killed_is_noticed_and_comes_back(
    testbed: Testbed, harness: Command, tmp_path: Path
) -> None:
    spec = tmp_path / "hosts.yaml"
    spec.write_text(SPEC)
    done = harness("run", spec, "--hosts", testbed.inventory, "--results", tmp_path / "results", timeout_s=300)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        found = store.read_trials(tmp_path / "results" / "hosts" / "latest")
        trials = {trial.factors["faults"]: trial for trial in found}
        for label, trial in trials.items():
            assert trial.state not in ("failed", "void"), (label, trial.reason)
            assert_noticed(trial)
        assert set(trials["kill"].servers) == {"server-1"}
        assert set(trials["partition"].servers) == {"server-1", "server-2"}
        assert "ceiling-fault" not in tables_of(testbed)
    finally:
        testbed.restore()


def assert_noticed(trial: TrialResult) -> None:
    """The fault was done and undone, at the host of its server, and the balancer saw both."""
    (fault,) = trial.faults
    assert fault.outcome == "done", fault.detail
    assert "server-2" in trial.hosts[fault.host].services
    assert fault.undone_ns is not None
    assert trial.balancer is not None
    events = [(event.server, event.state) for event in trial.balancer.events]
    assert events[:1] == [("server-2", "down")], events
    if fault.do != "kill-host":  # its server is not started again with it
        assert ("server-2", "up") in events


WORKERS = """\
version: 1
title: What does a fault of one worker take with it?
base:
  model: prefork
  options: {workers: 4}
  servers: 2
  balancer: haproxy-tcp
  load: {kind: open, rate: 50/s, connections: 4, lifetime: per-request, warmup: 200 ms, window: 3 s, timeout: 500 ms}
factors:
  faults:
    - {label: crash, set: {faults: [{at: 1 s, do: crash-handler, server: 2}]}}
    - {label: kill, set: {faults: [{at: 1 s, do: kill-worker, server: 2}]}}
    - {label: freeze, set: {faults: [{at: 1 s, do: freeze-worker, server: 2, lasts: 1 s}]}}
repeats: 1
canary: false
"""


def test_one_worker_of_a_server_on_another_host_is_crashed_killed_or_frozen(
    testbed: Testbed, harness: Command, tmp_path: Path
) -> None:
    spec = tmp_path / "workers.yaml"
    spec.write_text(WORKERS)
    done = harness("run", spec, "--hosts", testbed.inventory, "--results", tmp_path / "results", timeout_s=300)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = {
        trial.factors["faults"]: trial for trial in store.read_trials(tmp_path / "results" / "workers" / "latest")
    }
    assert set(trials) == {"crash", "kill", "freeze"}
    for label, trial in trials.items():
        assert trial.state not in ("failed", "void"), (label, trial.reason)
        (fault,) = trial.faults
        assert fault.outcome == "done", (label, fault.detail)
        assert "server-2" in trial.hosts[fault.host].services
        assert (fault.undone_ns is not None) is (label == "freeze")
        # The main process replaces a worker that is gone, and reports it; the other server has nothing to do with it.
        assert trial.servers["server-1"].forks == 4, label
        assert trial.servers["server-2"].forks == (4 if label == "freeze" else 5), label


def test_a_host_that_was_killed_is_held_again_when_it_is_back_and_before_that_by_nobody_else(
    testbed: Testbed, tmp_path: Path
) -> None:
    inventory = load_inventory(testbed.inventory)
    connections = connect_all(inventory, testbed.inventory.parent)
    name, container = "host-3", testbed.containers[2]
    connection, here = connections[name], connect()
    client = connect_over(connection.transport, name)
    engines = {"local": Engine.of("local", here, own=True), name: Engine.of(name, client)}
    image = ensure_everywhere(engines, ROOT / "images", ["warden"], [], tmp_path, print)[name]["warden"].id
    machine: Any = here.containers.get(container)
    try:
        with hold(
            client, image, make_owner("test"), name, lease_s=60, patience_s=60, boot=lambda: boot_id(connection)
        ) as held:
            for lost in (False, True):  # whether its warden goes with it
                if lost:
                    assert machine.exec_run(["docker", "rm", "--force", NAME]).exit_code == 0
                machine.kill()
                machine.start()
                held.see_held()
                assert client.containers.get(NAME).status == "running"
                with pytest.raises(HostError, match=r"^host host-3 is held by run test "):
                    hold(client, image, make_owner("other"), name)
    finally:
        client.close()
        for each in connections.values():
            each.close()
        testbed.restore()
        here.close()


MEETING = """\
version: 1
title: What do two faults at once cost?
base:
  model: reactor
  servers: 3  # on two hosts
  balancer: haproxy-tcp
  load: {connections: 4, warmup: 200 ms, window: 2 s}
  faults: [{at: 1 s, do: partition, server: 1}, {at: 1 s, do: partition, server: 2}, {at: 1 s, do: partition, server: 3}]
repeats: 1
"""


def test_faults_that_meet_on_one_host_are_refused_before_anything_runs(
    testbed: Testbed, harness: Command, tmp_path: Path
) -> None:
    spec, results = tmp_path / "hosts.yaml", tmp_path / "results"
    spec.write_text(MEETING)
    done = harness("run", spec, "--hosts", testbed.inventory, "--results", results, timeout_s=200)
    assert done.returncode == 3, done.stdout + done.stderr
    told = r"faults: host-\d: fault \d of `faults`, `partition` of server \d, comes while fault \d, `partition` of server \d,"
    assert re.search(told, done.stderr), done.stderr
    assert not results.exists()


DELAYED = """\
version: 1
title: What does a slow network cost?
base:
  model: reactor
  servers: 2
  balancer: haproxy-tcp
  load: {connections: 4, warmup: 200 ms, window: 2 s}
  faults: [{at: 1 s, do: delay, delay: 20 ms, server: 2}]
repeats: 1
"""


def test_a_delay_is_made_where_the_kernel_has_netem_and_refused_before_anything_runs_where_not(
    testbed: Testbed, harness: Command, tmp_path: Path
) -> None:
    spec, results = tmp_path / "hosts.yaml", tmp_path / "results"
    spec.write_text(DELAYED)
    done = harness("run", spec, "--hosts", testbed.inventory, "--results", results, timeout_s=200)
    if done.returncode == 3:
        assert re.search(r"faults: host-\d: `delay`: its kernel has no (netem|prio) \(.*qdisc", done.stderr), (
            done.stderr
        )
        assert not results.exists()
        return
    assert done.returncode == 0, done.stdout + done.stderr
    (trial,) = store.read_trials(results / "hosts" / "latest")
    (fault,) = trial.faults
    assert fault.outcome == "done", fault.detail
    assert fault.undone_ns is not None


FROZEN = """\
version: 1
title: What does a freeze cost, while another host is lost?
base:
  model: reactor
  servers: 2
  balancer: haproxy-tcp
  load: {connections: 4, warmup: 200 ms, window: 5 s, timeout: 500 ms}
  faults: [{at: 500 ms, do: freeze-server, server: 1, lasts: 200 ms}]
repeats: 1
canary: false
"""


def test_a_host_that_starts_anew_unasked_voids_a_trial_with_faults_too(testbed: Testbed, tmp_path: Path) -> None:
    spec = tmp_path / "frozen.yaml"
    spec.write_text(FROZEN)
    here: Any = connect()
    first, _, last = (here.containers.get(name) for name in testbed.containers)
    try:
        with running(testbed.inventory, spec) as run:
            run.wait_for_load(first)
            last.kill()
            last.start()
            assert run.ends(200) == 0, run.log.read_text()
        again = made_again(spec)
        assert any("host-3: the host started anew" in reason for reason in again), again
    finally:
        here.close()
        testbed.restore()


def test_what_a_controller_that_was_killed_left_of_a_partition_goes_with_harness_clean(
    testbed: Testbed, harness: Command, tmp_path: Path
) -> None:
    client: Any = connect()
    host, rule = client.containers.get(testbed.containers[1]), ["-s", "192.0.2.7", "-m", "comment", "--comment"]
    comments = ("ceiling-fault", "somebody-else-s")
    try:
        for comment in comments:
            assert host.exec_run(["iptables", "-I", "INPUT", *rule, comment, "-j", "DROP"]).exit_code == 0
        told = harness("clean", testbed.inventory, "--dry-run").stdout
        assert "host-2: would remove iptables rules of a fault" in told
        checked = harness("hosts", "check", testbed.inventory)
        disturbed = r"^host-2: its network is disturbed: iptables rules of a fault.*; run `harness clean`"
        assert checked.returncode == 3, checked.stderr
        assert len(re.findall(disturbed, checked.stdout, re.MULTILINE)) == 1, checked.stdout
        spec, results = tmp_path / "delayed.yaml", tmp_path / "results"
        spec.write_text(DELAYED)
        refused = harness("run", spec, "--hosts", testbed.inventory, "--results", results)
        assert refused.returncode == 3, refused.stderr
        assert re.fullmatch(disturbed + ".*\n", refused.stderr), refused.stderr
        assert not results.exists()
        assert "ceiling-fault" in tables_of(testbed)
        cleaned = harness("clean", testbed.inventory)
        assert cleaned.returncode == 0, cleaned.stderr
        assert "host-2: removed iptables rules of a fault" in cleaned.stdout
        left = tables_of(testbed)
        assert "ceiling-fault" not in left
        assert "somebody-else-s" in left
        checked = harness("hosts", "check", testbed.inventory)
        assert checked.returncode == 0, checked.stdout
    finally:
        for comment in comments:  # no other test is to meet them, whatever has failed
            host.exec_run(["iptables", "-D", "INPUT", *rule, comment, "-j", "DROP"])
        client.close()
