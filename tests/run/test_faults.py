"""Faults that a spec asks for, from the spec to the record."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import store
from harness.errors import MeasureError
from harness.faults import Injector
from harness.result import TrialResult
from tests.run.conftest import Command

SPEC = """\
version: 1
title: What does one faulty handler take with it?
base:
  handler: {{fault: {fault}, fault_at: 300 ms}}
  load: {{connections: 6, warmup: 50 ms, window: 900 ms, timeout: 600 ms}}
factors:
  model: [{models}]
repeats: 1
"""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def run(harness: Command, folder: Path, fault: str, *models: str, runtime: str = "process") -> dict[str, TrialResult]:
    spec = folder / "faults.yaml"
    spec.write_text(SPEC.format(fault=fault, models=", ".join(models)))
    done = harness("run", spec, "--runtime", runtime, "--results", folder / "results")
    assert done.returncode == 0, done.stderr
    trials = store.read_trials(folder / "results" / "faults" / "latest")
    return {trial.trial.model_name: trial for trial in trials}


def assert_excused(trial: TrialResult) -> None:
    """The fault marks nothing, and what the checks found is kept."""
    excused = {check.name: check for check in trial.checks if "a fault was asked for" in check.detail}
    assert set(excused) == {"served", "errors", "closes", "steady", "littles-law", "server-count", "clients-agree"}
    assert all(check.passed is None for check in excused.values())


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_a_crash_costs_ppc_no_innocent_connection_and_tpc_all_of_them(
    tmp_path: Path, harness: Command, runtime: str
) -> None:
    trials = run(harness, tmp_path, "crash", "ppc", "tpc", runtime=runtime)
    for trial in trials.values():
        assert trial.state != "failed", trial.reason
        assert trial.client is not None
        assert trial.fault is not None
        assert trial.fault.outcome in ("closed", "reset")
        assert_excused(trial)
    ppc, tpc = trials["ppc"].client, trials["tpc"].client
    assert ppc is not None
    assert tpc is not None
    assert (ppc.connections_lost, tpc.connections_lost) == (0, 6)
    assert trials["ppc"].servers["server"].connections == 1 + 1 + 6  # the proof, the fault's, the load's
    assert trials["tpc"].servers == {}
    assert tpc.errors["refused"] > 0
    assert any("ended with status -11" in note for note in trials["tpc"].notes)
    verdict = trials["tpc"].verdict
    assert verdict is not None
    assert verdict.limited_by == "fault"


@pytest.mark.slow
def test_a_server_that_hangs_is_killed_in_the_end_and_its_trial_is_done(tmp_path: Path, harness: Command) -> None:
    trial = run(harness, tmp_path, "hang", "reactor")["reactor"]
    assert trial.state != "failed", trial.reason
    assert trial.client is not None
    assert trial.client.connections_lost == 0
    assert trial.client.errors["timeout"] > 0
    assert trial.fault is not None
    assert (trial.fault.outcome, trial.fault.after_s) == ("silence", None)
    assert any("did not end on SIGTERM" in note for note in trial.notes)


@pytest.mark.slow
def test_the_fault_comes_through_when_all_workers_are_busy(tmp_path: Path, harness: Command) -> None:
    few = "{label: few, set: {model: prefork, options.workers: 3}}"
    trial = run(harness, tmp_path, "exit", few)["prefork"]
    assert trial.fault is not None
    assert trial.fault.outcome in ("closed", "reset")
    assert trial.client is not None
    assert trial.client.connections_lost == 0
    assert trial.servers["server"].forks == 3 + 1  # the workers, and the one that replaced the dead


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("{label: one, set: {model: prefork, options.workers: 1}}", "has one worker here"),
        ("{label: foreign, set: {model: {image: 'acme/api:1', port: 80}}}", "handler.fault"),
    ],
)
def test_a_fault_that_could_not_be_set_off_is_an_error_of_the_spec(
    tmp_path: Path, harness: Command, model: str, says: str
) -> None:
    spec = tmp_path / "faults.yaml"
    spec.write_text(SPEC.format(fault="crash", models=model))
    planned = harness("plan", spec)
    assert planned.returncode == 2
    assert says in planned.stderr


@contextmanager
def answering_once(then: str) -> Iterator[str]:
    """A server that answers the first request of its only connection, and does something else with the second."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(ANSWER)
                if then == "gone":
                    return
                connection.recv(4096)
                if then == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                if then == "answered":
                    connection.sendall(ANSWER)
                if then == "silence":
                    time.sleep(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(10)


@pytest.mark.parametrize(
    ("then", "outcomes"),
    [
        ("answered", {"answered"}),
        ("closed", {"closed"}),
        ("reset", {"reset"}),
        ("silence", {"silence"}),
        ("gone", {"closed", "reset"}),
    ],
)
def test_what_came_back_is_told_apart(then: str, outcomes: set[str]) -> None:
    with answering_once(then) as url:
        injector = Injector("crash", url, timeout_s=0.3)
        at_ns = time.monotonic_ns() + 50_000_000
        injector.arm(at_ns)
        report = injector.report()
        injector.close()
    assert report.outcome in outcomes
    assert report.sent_ns is not None
    assert report.sent_ns >= at_ns


def test_a_fault_that_was_not_due_yet_is_not_sent() -> None:
    with answering_once("gone") as url:
        injector = Injector("crash", url, timeout_s=0.1)
        injector.arm(time.monotonic_ns() + 3_600 * 10**9)
        injector.close()
        report = injector.report()
    assert (report.outcome, report.sent_ns) == ("not sent", None)


def test_without_an_answer_before_the_load_there_is_no_fault_to_set_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(MeasureError, match="set off the fault"):
            Injector("crash", url, timeout_s=0.05)
