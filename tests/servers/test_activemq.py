"""ActiveMQ: its own configuration, and runs over STOMP in which it counts what the load client counts."""

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from activemq.settings import command, configuration
from common.config import ConfigError
from harness import store
from harness.errors import SpecError
from harness.experiment import Settings, run_experiment
from harness.result import TrialResult
from harness.stage import Places
from harness.terminal import Display
from harness.verify import verify_model
from tests.servers.conftest import PLACES, ROOT, told

CORE = "{http://activemq.apache.org/schema/core}"
RUN = """\
version: 1
title: Does the broker count what the client counts?
base:
  model: activemq
  options: {persistent: %(persistent)s}
  request: {path: %(path)s, body: 100 B}
  load: {kind: open, rate: 100/s, arrivals: constant, connections: 10, lifetime: %(lifetime)s, warmup: 300 ms, window: 700 ms, timeout: 3 s}
factors:
  options.transport: [bio, nio]
repeats: 1
canary: false
"""


def element(name: str, host: str = "127.0.0.1", **options: object) -> "ET.Element[str] | None":
    text = configuration(told("activemq", {**HEAP, **options}, host=host), Path("/own/data"))  # type: ignore[dict-item]
    return ET.fromstring(text).find(f".//{CORE}{name}")


HEAP = {"heap": 64 << 20}
"""As it is handed over: in bytes."""


@pytest.mark.parametrize(("transport", "scheme"), [("bio", "stomp://"), ("nio", "stomp+nio://")])
def test_the_transport_is_the_connectors_scheme(transport: str, scheme: str) -> None:
    connector = element("transportConnector", transport=transport)
    assert connector is not None
    assert connector.attrib["uri"] == f"{scheme}127.0.0.1:8080?backlog=4096"


def test_an_address_of_ip_6_is_in_brackets() -> None:
    connector = element("transportConnector", host="::1")
    assert connector is not None
    assert connector.attrib["uri"].startswith("stomp://[::1]:8080?")


@pytest.mark.parametrize("persistent", [True, False])
def test_a_store_is_there_only_where_messages_are_kept(persistent: bool) -> None:
    assert (element("kahaDB", persistent=persistent) is not None) is persistent
    broker = element("broker", persistent=persistent)
    assert broker is not None
    assert broker.attrib["persistent"] == str(persistent).lower()


@pytest.mark.parametrize(("task_runner", "dedicated"), [("dedicated", "true"), ("pooled", "false")])
def test_what_is_told_on_the_command_line(task_runner: str, dedicated: str) -> None:
    config = told("activemq", {**HEAP, "task_runner": task_runner})
    said = command(config, Path("/own/activemq.xml"), Path("/own/counters"))
    assert f"-Dorg.apache.activemq.UseDedicatedTaskRunner={dedicated}" in said
    assert {"-Xms67108864", "-Xmx67108864"} <= set(said)
    assert said[-2:] == ["start", "xbean:file:/own/activemq.xml"]


@pytest.mark.parametrize("wrong", [{"transport": "auto"}, {"persistent": "no"}])
def test_an_option_that_model_yaml_does_not_know_is_told(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="options"):
        configuration(told("activemq", {**HEAP, **wrong}), Path("/own/data"))


def test_the_conformance_suite_is_not_for_a_broker() -> None:
    with pytest.raises(SpecError, match="activemq speaks stomp"):
        verify_model("activemq", (), "docker", PLACES, Display(), lambda outcome: None)


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(400)  # the first one may build the image
@pytest.mark.parametrize(
    ("path", "lifetime", "persistent"),
    [("/topic/news", "keep-alive", False), ("/queue/orders, headers: {persistent: 'true'}", "7", True)],
    ids=["topic", "kept"],
)
def test_in_a_run_it_counts_every_message_and_connection(
    tmp_path: Path, path: str, lifetime: str, persistent: bool
) -> None:
    trials = run(tmp_path, RUN % {"path": path, "lifetime": lifetime, "persistent": str(persistent).lower()})
    assert [trial.factors["options.transport"] for trial in sorted(trials, key=lambda one: one.id)] == ["bio", "nio"]
    for trial in trials:
        assert trial.client is not None, trial.reason
        assert trial.client.errors == {}
        assert trial.client.ok > 0
        (server,) = trial.servers.values()
        assert server is not None
        assert server.requests == trial.client.life_ok + 1  # and the harness's proof
        assert server.connections == trial.client.connections_opened + 1
        assert (server.program or "").startswith("ActiveMQ 5.")
        count = next(check for check in trial.checks if check.name == "server-count")
        assert count.passed, count.detail


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_message_that_the_broker_refuses_fails_the_trial_with_its_words(tmp_path: Path) -> None:
    refused = {
        "path": "/queue/x, headers: {transaction: nobody-began}",
        "lifetime": "keep-alive",
        "persistent": "false",
    }
    for trial in run(tmp_path, RUN % refused):
        assert trial.state == "failed"
        assert "no RECEIPT came for /queue/x, but: ERROR" in str(trial.reason)


def run(folder: Path, text: str) -> list[TrialResult]:
    """All trials of an experiment."""
    cores = os.sched_getaffinity(0)
    spec = folder / f"broker-{os.getpid()}.yaml"
    spec.write_text(text)
    places = Places(ROOT / "images", folder / "results", folder / "state")
    try:
        outcome = run_experiment(spec, places, Settings(runtime="docker"), Display())
    finally:
        os.sched_setaffinity(0, cores)  # a run leaves the server's cores alone, and a test goes on
    return list(store.read_trials(outcome.run))
