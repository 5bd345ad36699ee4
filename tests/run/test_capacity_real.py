"""A search on a real server, by the command line: what is stored of it. Its numbers are the gate's (`make bench`)."""

import math
from pathlib import Path

import pytest

from harness import store
from tests.run.conftest import Command

pytestmark = pytest.mark.slow

SPEC = """\
version: 1
title: How much?
base:
  model: reactor
  handler: {cpu: 1 ms}
  load: {kind: capacity, rate: 600/s, connections: 32, warmup: 100 ms, window: 500 ms, confirmation: 1 s, resolution: 50 %}
  slo: {p99: 200 ms, errors: 5 %}
repeats: 1
"""


@pytest.mark.timeout(400)
def test_a_search_keeps_every_step_and_the_servers_count_holds_over_all_of_them(
    tmp_path: Path, harness: Command
) -> None:
    spec, results = tmp_path / "search.yaml", tmp_path / "results"
    spec.write_text(SPEC)
    done = harness("run", spec, "--runtime", "process", "--results", results, timeout_s=380)
    assert done.returncode == 0, done.stderr
    run = (results / "search" / "latest").resolve()
    (trial,) = store.read_trials(run)
    assert trial.capacity is not None, trial.reason
    capacity = trial.capacity
    assert 600 / math.sqrt(1.5) <= capacity.steps[0].rate_rps <= 600 * math.sqrt(1.5)
    assert {path.stem for path in (run / "trials" / trial.id / "clients").glob("step-*.json")} == {
        f"step-{number}" for number in range(1, len(capacity.steps) + 1)
    }
    assert trial.client is not None
    assert len(trial.servers["server"].marks) == 2
    counted = next(check for check in trial.checks if check.name == "server-count")
    assert counted.passed, counted.detail
    if capacity.ended == "found":
        assert capacity.low_rps is not None
        assert capacity.high_rps is not None
        assert capacity.high_rps / capacity.low_rps <= 1.5 + 1e-6
        assert (capacity.steps[-1].purpose, capacity.steps[-1].rate_rps) == ("confirm", capacity.low_rps)
    report = (run / "report" / "report.md").read_text()
    assert "the highest rate that meets the SLO" in report
    assert capacity.ended in report
