"""Load clients on two hosts start at one instant, and the record and the report say how far apart they really were."""

from pathlib import Path

import pytest
import yaml

from harness import store
from harness.raw import ClientReport
from harness.readings import starts_apart_ns
from tests.run.conftest import Command, harness
from tests.testbed_fixture import Testbed

__all__ = ["harness"]

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(400)]

SPEC = """\
version: 1
title: How far apart do two clients begin?
base: {model: reactor, clients: 3, load: {kind: open, rate: 100/s, connections: 6, warmup: 100 ms, window: 500 ms}}
repeats: 1
canary: false
"""


@pytest.fixture
def two_clients(testbed: Testbed, tmp_path: Path) -> Path:
    """The testbed's hosts, two of which are for load clients."""
    folder, inventory = testbed.inventory.parent, yaml.safe_load(testbed.inventory.read_text())
    inventory["known_hosts"] = str((folder / inventory["known_hosts"]).resolve())
    for host, role in zip(inventory["hosts"].values(), ("client", "client", "server"), strict=True):
        host |= {"roles": [role], "key": str((folder / host["key"]).resolve())}
    path = tmp_path / "two-clients.yaml"
    path.write_text(yaml.safe_dump(inventory))
    return path


def test_when_each_client_really_began_is_kept_and_told(harness: Command, two_clients: Path, tmp_path: Path) -> None:
    spec, results = tmp_path / "start.yaml", tmp_path / "results"
    spec.write_text(SPEC)
    done = harness("run", spec, "--hosts", two_clients, "--results", results, timeout_s=300)
    assert done.returncode == 0, done.stdout + done.stderr
    run = results / "start" / "latest"
    (trial,) = store.read_trials(run)
    assert trial.state in ("ok", "marked", "invalid"), trial.reason
    assert len({share.host for share in trial.client_shares}) == 2
    for number, share in enumerate(trial.client_shares):
        raw = ClientReport.model_validate_json((run / "trials" / trial.id / "clients" / f"{number}.json").read_bytes())
        assert trial.client is not None
        assert raw.start_ns == trial.client.start_ns  # the same instant of the controller's clock
        assert raw.begun_ns is not None
        assert share.start_late_ns == raw.begun_ns - raw.start_ns >= 0
        assert trial.hosts[share.host].clock_error_ns > 0
    apart_ns = starts_apart_ns(trial.client_shares, trial.hosts)
    assert apart_ns is not None
    assert apart_ns >= sum(trial.hosts[share.host].clock_error_ns for share in trial.client_shares)
    assert "Load clients that made a load together began it" in (run / "report" / "report.md").read_text()
