"""`model: {image: …}`: an image that somebody else built, run as it is, from the spec to the report."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from harness import store
from harness.errors import HarnessError, ResultError
from harness.experiment import Settings, run_experiment
from harness.images import ImageInfo, ready_images
from harness.result import TrialResult
from harness.stage import Places
from harness.terminal import Display
from tests.client.certificates import Authority
from tests.docker.conftest import ROOT
from tests.docker.ready import build_ready
from tests.new.conftest import NAME, run_in

pytestmark = [pytest.mark.docker, pytest.mark.slow]

HEAD = """\
version: 1
title: What does a ready image do?
repeats: 1
base:
  load: {connections: 3, warmup: 50 ms, window: 300 ms, timeout: 10 s}
"""
Run = Callable[[str], list[TrialResult]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="module")
def port() -> int:
    """The image's own: one that is free on this host."""
    return free_port()


@pytest.fixture(scope="module")
def image(client: docker.DockerClient, images: dict[str, ImageInfo], authority: Authority, port: int) -> Iterator[str]:
    """An image with a tag that the harness did not make; its certificate names no address."""
    name = f"ceiling-test/acme-api:{os.getpid()}"
    build_ready(client, images["base"].id, name, authority, port)
    yield name
    client.images.remove(name, force=True)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    places = Places(ROOT / "images", tmp_path / "results", tmp_path / "state")
    return lambda text: run_in(tmp_path, places, text, "docker")


def measured(trial: TrialResult, says: str) -> None:
    """The trial went to its end, all that a container shows was measured, and each answer said just this."""
    assert trial.state in ("ok", "marked", "invalid"), trial.reason
    assert trial.client is not None
    assert trial.client.ok > 0
    assert trial.client.errors == {}
    head = trial.client.bytes_received / trial.client.completed_in_window - len(says)
    assert 100 < head < 160  # of Python's http.server; the bodies are as long as they should be
    used = trial.usage["server"]
    assert used.cpu_user_s + used.cpu_system_s > 0
    assert trial.servers == {}
    counts = next(check for check in trial.checks if check.name == "server-count")
    assert counts.passed is None


@pytest.mark.parametrize("network", ["host", "bridge"])
def test_it_runs_as_it_is_on_its_own_port(run: Run, image: str, port: int, network: str) -> None:
    (trial,) = run(f"{HEAD}  network: {network}\n  model: {{image: '{image}', port: {port}}}\n")
    measured(trial, "nothing by itself False")


def test_it_is_told_what_the_spec_says_and_stands_beside_a_model(run: Run, image: str, tmp_path: Path) -> None:
    other = free_port()
    mine = f"{{image: '{image}', port: {other}, env: {{LISTENS: '{other}', SAYS: hello}}, command: [you]}}"
    limits = "limits: {memory: 256 MiB}"
    trials = run(f"{HEAD}  {limits}\nfactors: {{model: [reactor, {{label: ours, set: {{model: {mine}}}}}]}}\n")
    by_name = {trial.factors["model"]: trial for trial in trials}
    measured(by_name["ours"], "hello you False")
    assert by_name["reactor"].usage["server"].cores == 1
    assert {trial.id for trial in trials} == {"model-ours.r1", "model-reactor.r1"}


def test_its_id_is_what_is_kept_of_it_and_a_run_does_not_go_on_with_another_one(
    run: Run, client: docker.DockerClient, images: dict[str, ImageInfo], image: str, port: int, tmp_path: Path
) -> None:
    (trial,) = run(f"{HEAD}factors: {{model: [{{image: '{image}', port: {port}}}]}}\n")
    assert trial.factors == {"model": image}
    assert trial.id.startswith("model-ceiling-test-acme-api-")
    assert set(trial.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    latest = tmp_path / "results" / NAME / "latest"
    ours = client.images.get(image)
    digests = store.read_environment(latest)["images"]
    assert set(digests) >= {"client", "probe", image}
    assert digests[image] == str(ours.id).removeprefix("sha256:")
    store.record_path(latest, trial.id).unlink()
    repository, _, tag = image.rpartition(":")
    try:
        client.images.get(images["base"].id).tag(repository, tag)
        with pytest.raises(ResultError, match="changed since: the images"):
            run_experiment(
                tmp_path / f"{NAME}.yaml",
                Places(ROOT / "images", tmp_path / "results", tmp_path / "state"),
                Settings(runtime="docker", resume=True),
                Display(),
            )
    finally:
        ours.tag(repository, tag)


def test_https_is_checked_by_its_chain_as_no_certificate_names_a_containers_address(
    run: Run, image: str, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(authority.pem.read_bytes())
    (tmp_path / "other.pem").write_bytes(Authority.make(tmp_path / "other").pem.read_bytes())
    mine = f"image: '{image}', port: 8443, https: true, env: {{LISTENS: '8443', TLS: '1', SAYS: hello}}"
    levels = ", ".join(
        f"{{label: {label}, set: {{model: {{{mine}, {trust}}}}}}}"
        for label, trust in (("trusted", "ca: ca.pem"), ("any", "insecure: true"), ("stranger", "ca: other.pem"))
    )
    trials = {
        trial.factors["model"]: trial for trial in run(f"{HEAD}  network: bridge\nfactors: {{model: [{levels}]}}\n")
    }
    measured(trials["trusted"], "hello by itself False")
    measured(trials["any"], "hello by itself False")
    assert trials["stranger"].state == "failed"
    assert "its certificate is not trusted" in str(trials["stranger"].reason)


def test_where_it_answers_on_another_port_the_trial_fails_and_shows_its_output(
    run: Run, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.proof.START_DEADLINE_S", 2.0)
    (trial,) = run(f"{HEAD}  network: bridge\n  model: {{image: '{image}', port: 9}}\n")
    assert trial.state == "failed"
    assert "is this the port that the server listens on?" in str(trial.reason)


def test_an_image_that_ends_at_once_fails_the_trial_with_what_it_said(run: Run, image: str) -> None:
    (trial,) = run(f"{HEAD}  network: bridge\n  model: {{image: '{image}', port: 80, env: {{LISTENS: none}}}}\n")
    assert trial.state == "failed"
    assert "the server ended before it answered" in str(trial.reason)
    assert "invalid literal for int()" in str(trial.reason)


def test_a_port_that_is_taken_on_this_host_is_told_before_anything_starts(run: Run, image: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (trial,) = run(f"{HEAD}  model: {{image: '{image}', port: {port}}}\n")
    assert trial.state == "failed"
    assert f"port {port} of this host is taken" in str(trial.reason)


def test_an_image_that_nobody_has_is_one_error_before_the_first_trial(run: Run, tmp_path: Path) -> None:
    with pytest.raises(HarnessError) as caught:
        run(f"{HEAD}  model: {{image: 'ceiling-test/nobody-has:this', port: 80}}\n")
    said = str(caught.value)
    assert caught.value.exit_code == 3
    assert said.startswith("image ceiling-test/nobody-has:this: the engine does not have it, and cannot pull it: ")
    assert "docker load" in said
    assert not (tmp_path / "results").exists()


def test_a_name_without_a_tag_is_the_latest(client: docker.DockerClient, image: str) -> None:
    client.images.get(image).tag("ceiling-test/acme-api", "latest")
    try:
        found = ready_images(client, ["ceiling-test/acme-api:latest"], print)
        assert found["ceiling-test/acme-api:latest"].id == client.images.get(image).id
    finally:
        client.images.remove("ceiling-test/acme-api:latest")


def test_plain_processes_run_no_image(tmp_path: Path) -> None:
    spec = tmp_path / "mine.yaml"
    spec.write_text(f"{HEAD}  model: {{image: acme, port: 80}}\n")
    with pytest.raises(HarnessError, match="the image acme runs in a container only; use RUNTIME=docker") as caught:
        run_experiment(spec, Places(ROOT / "images", tmp_path, tmp_path), Settings(runtime="process"), Display())
    assert caught.value.exit_code == 3
