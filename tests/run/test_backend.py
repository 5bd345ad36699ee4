"""A server behind the server, from the spec to the record."""

from pathlib import Path
from typing import Any

import pytest

from harness import store
from harness.backend import backend_config
from harness.deploy import OPEN_FILES_OF_OTHERS, open_files_of_server
from harness.histogram import bounds_of
from harness.hosts.cores import CoreMap, divide_cores
from harness.proof import longest_answer_s
from harness.result import TrialResult
from harness.spec.catalogue import load_models
from harness.spec.experiment import Trial
from tests.run.conftest import ROOT, Command

SPEC = """\
version: 1
title: What does a slow backend do to a server?
base:
  network: {network}
  handler: {{backend: {backend}}}
  load: {{warmup: 100 ms, window: {window}, {load}}}
factors:
  model: [{models}]
repeats: 1
"""


def run(
    harness: Command,
    folder: Path,
    models: str,
    *,
    backend: str = "{delay: 20 ms}",
    window: str = "600 ms",
    load: str = "connections: 12",
    runtime: str = "process",
    network: str = "host",
) -> list[TrialResult]:
    spec = folder / "behind.yaml"
    spec.write_text(SPEC.format(models=models, backend=backend, window=window, load=load, network=network))
    done = harness("run", spec, "--runtime", runtime, "--results", folder / "results")
    assert done.returncode == 0, done.stderr
    return store.read_trials(folder / "results" / "behind" / "latest")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runtime", "network"),
    [
        ("process", "host"),
        pytest.param("docker", "host", marks=pytest.mark.docker),
        pytest.param("docker", "bridge", marks=pytest.mark.docker),
    ],
)
def test_every_request_asks_the_backend_and_waits_for_it(
    tmp_path: Path, harness: Command, runtime: str, network: str
) -> None:
    trials = run(harness, tmp_path, "ppc, tpc, reactor", runtime=runtime, network=network)
    assert len(trials) == 3
    for trial in trials:
        server, client, backend = trial.servers["server"], trial.client, trial.backend
        assert client is not None
        assert backend is not None
        assert (client.errors, server.backend_errors) == ({}, 0)
        assert server.backend_calls == server.requests
        assert backend.requests == backend.answers == 1 + (server.backend_calls or 0)  # one proved that it answers
        assert min(bounds_of(index)[1] for index in client.histograms["response"]) >= 20_000_000
        assert min(bounds_of(index)[1] for index in backend.delays_ns) >= 20_000_000
        assert set(trial.usage) == {"server", "backend", "client"}
        counts = next(check for check in trial.checks if check.name == "server-count")
        assert counts.passed, counts.detail
        folder = tmp_path / "results" / "behind" / "latest" / "trials" / trial.id
        assert (folder / "probes" / "backend.parquet").is_file()
        assert (folder / "logs" / "backend.log").is_file()
        assert trial.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("lifetime", ["keep-alive", "per-request"])
def test_an_idle_server_whose_workers_all_wait_is_a_full_worker_pool(
    tmp_path: Path, harness: Command, lifetime: str
) -> None:
    """4 workers x 250 ms: 16 requests a second, on whatever machine; the verdict needs no calm one."""
    few = "{label: threads, set: {model: prethread, options.threads: 4}}, {label: processes, set: {model: prefork, options.workers: 4}}"
    trials = run(
        harness,
        tmp_path,
        few,
        backend="{delay: 250 ms}",
        window="1500 ms",
        load=f"connections: 12, lifetime: {lifetime}",
    )
    assert len(trials) == 2
    for trial in trials:
        assert trial.verdict is not None
        assert trial.verdict.limited_by == "worker pool"
        assert "of 4 workers waited for the backend" in trial.verdict.evidence
        assert trial.state != "invalid", trial.reason


@pytest.mark.slow
def test_without_workers_of_a_fixed_number_waiting_for_the_backend_is_nobodys_limit(
    tmp_path: Path, harness: Command
) -> None:
    (trial,) = run(harness, tmp_path, "tpc", backend="{delay: 250 ms}", window="1 s")
    assert trial.verdict is not None
    assert trial.verdict.limited_by != "worker pool"


@pytest.mark.slow
def test_calls_beyond_the_deadline_are_the_backends_failure(tmp_path: Path, harness: Command) -> None:
    slow = "{delay: 1 ms, distribution: bimodal, slow: 10 s, slow_share: 0.4}"
    (trial,) = run(harness, tmp_path, "tpc", backend=slow, window="1 s", load="connections: 12, timeout: 200 ms")
    assert trial.servers["server"].backend_errors
    assert sum(trial.client.errors.values() if trial.client else ()) > 0
    assert trial.verdict is not None
    assert trial.verdict.limited_by == "backend"
    assert trial.state == "marked"


@pytest.mark.parametrize(
    ("cpus", "server", "expected"),
    [
        (1, 1, CoreMap(server=(0,), client=(0,), shared=True, backend=(0,))),
        (2, 1, CoreMap(server=(1,), client=(0,), shared=False, backend=(0,))),
        (3, 1, CoreMap(server=(2,), client=(0, 1), shared=False, backend=(0, 1))),
        (4, 1, CoreMap(server=(3,), client=(0, 1), shared=False, backend=(2,))),
        (4, 2, CoreMap(server=(2, 3), client=(0,), shared=False, backend=(1,))),
        (4, 3, CoreMap(server=(1, 2, 3), client=(0,), shared=False, backend=(0,))),
        (8, 4, CoreMap(server=(4, 5, 6, 7), client=(0, 1, 2), shared=False, backend=(3,))),
    ],
)
def test_the_backend_has_a_core_of_its_own_where_there_are_enough(cpus: int, server: int, expected: CoreMap) -> None:
    divided = divide_cores(range(cpus), server, backend=True)
    assert divided == expected
    assert divided.backend_apart == (not set(expected.backend) & {*expected.client, *expected.server})
    assert divide_cores(range(cpus), server).backend == ()


def test_without_a_delay_there_is_no_backend() -> None:
    assert backend_config(Trial(), 8080, 1) is None


@pytest.mark.parametrize(
    ("backend", "longest_s"),
    [
        ({}, 0.0),
        ({"delay": "20 ms"}, 0.02),
        ({"delay": "20 ms", "distribution": "exponential"}, 0.6),
        ({"delay": "20 ms", "distribution": "bimodal", "slow": "1 s"}, 1.0),
    ],
)
def test_how_long_an_answer_may_take_bounds_the_waiting_for_it(backend: dict[str, str], longest_s: float) -> None:
    trial = Trial.model_validate({"handler": {"backend": backend}})
    assert longest_answer_s(trial.handler.backend) == pytest.approx(longest_s)


@pytest.mark.slow
@pytest.mark.docker
def test_every_connection_may_have_a_call_under_way(tmp_path: Path, harness: Command) -> None:
    """Descriptors for the connections alone would be a wall of ours, and look like the server's."""
    (trial,) = run(harness, tmp_path, "reactor", backend="{delay: 300 ms}", load="connections: 700", runtime="docker")
    assert trial.servers["server"].backend_errors == 0
    assert trial.client is not None
    assert not trial.client.errors.get("status")


@pytest.mark.parametrize(
    ("server", "handler", "descriptors"),
    [
        ("reactor", {}, 300 + 256),
        ("reactor", {"backend": {"delay": "1 ms"}}, 2 * 300 + 256),
        (None, {}, OPEN_FILES_OF_OTHERS),
    ],
)
def test_a_server_of_ours_gets_the_descriptors_that_it_needs_and_others_many(
    server: str | None, handler: dict[str, Any], descriptors: int
) -> None:
    trial = Trial.model_validate({"load": {"connections": 300}, "handler": handler})
    model = load_models(ROOT / "images")[server] if server else None
    assert open_files_of_server(trial, model) == descriptors


@pytest.mark.parametrize(
    ("server", "options", "load", "held"),
    [
        ("reactor", {"variant": "main-sub", "loops": 4, "loops_in": "processes"}, {}, 250),
        ("reactor", {"variant": "main-sub", "loops": 4, "loops_in": "threads"}, {}, 1000),
        ("reactor", {"variant": "single", "loops": 4, "loops_in": "processes"}, {}, 1000),
        ("prefork", {"workers": 8}, {}, 8),
        ("tpc", {}, {}, 1000),
        ("tpc", {}, {"kind": "hold", "rate": "1/s", "growth": "50/s", "warmup": "1 s", "window": "9 s"}, 1500),
    ],
)
def test_each_process_of_a_server_gets_the_descriptors_of_its_share(
    server: str, options: dict[str, Any], load: dict[str, Any], held: int
) -> None:
    trial = Trial.model_validate({"model": server, "options": options, "load": {"connections": 1000, **load}})
    assert open_files_of_server(trial, load_models(ROOT / "images")[server]) == held + 256
