"""Cleaning an engine removes what is ours and nobody needs, of every kind, and nothing of anybody else's."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from harness.clean import Wanted, clean_engine, clean_hosts
from harness.errors import RuntimeUnavailable
from harness.images import connect, ensure_images
from harness.runtime.base import Owner, make_owner
from harness.runtime.docker.cleaning import LABEL_IMAGE, find_ours, remove_ours

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]

ME = make_owner(f"test-clean-{secrets.token_hex(4)}")
DEAD = replace(ME, pid=2**22 + 1)
AFAR = replace(ME, host="elsewhere")


@dataclass
class Engine:
    """The engine, with an image of nothing, and whatever a test makes of it."""

    client: docker.DockerClient
    image: str
    made: list[str]

    def container(self, owner: Owner | None, **labels: str) -> str:
        """A container that was never started; `owner` none: a stranger's."""
        container = self.client.containers.create(
            self.image, ["/none"], labels=(owner.labels() if owner else {}) | labels
        )
        self.made.append(str(container.id))
        return str(container.id)

    def has(self, container: str) -> bool:
        """Whether it is still there."""
        try:
            self.client.containers.get(container)
        except NotFound:
            return False
        return True


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = connect()
    yield client
    client.close()


@pytest.fixture
def engine(client: docker.DockerClient) -> Iterator[Engine]:
    tag = f"test-clean-{secrets.token_hex(4)}"
    client.api.import_image_from_data(_empty_tar(), repository=tag, tag="1")
    engine = Engine(client, f"{tag}:1", [])
    yield engine
    for container in filter(engine.has, engine.made):
        client.containers.get(container).remove(force=True)
    client.images.remove(engine.image)


def _empty_tar() -> bytes:
    return bytes(10_240)


def test_what_a_dead_run_left_goes_and_what_is_live_or_a_strangers_stays(engine: Engine) -> None:
    dead, live, afar, stranger = (engine.container(owner) for owner in (DEAD, ME, AFAR, None))
    cleaned = clean_engine("alpha", connect, Wanted())
    assert [engine.has(one) for one in (dead, live, afar, stranger)] == [False, True, True, True]
    left = [line for line in cleaned.left if ME.run in line]
    assert len(left) == 2
    assert cleaned.failed == []


def test_what_another_machine_leased_goes_once_the_lease_is_over(engine: Engine) -> None:
    container = engine.container(AFAR, **{"ceiling.deadline": str(round(time.time()) - 1)})
    clean_engine("alpha", connect, Wanted())
    assert not engine.has(container)


def test_what_a_running_warden_holds_stays_however_old_its_lease_was(engine: Engine, tmp_path: Path) -> None:
    owner = replace(AFAR, run="test-clean-held")
    over = {"ceiling.deadline": str(round(time.time()) - 1)}
    base = ensure_images(engine.client, ROOT / "images", [], tmp_path, print)["base"]
    warden = engine.client.containers.create(
        base.id, ["sleep", "600"], labels=owner.labels() | over | {"ceiling.role": "warden"}
    )
    engine.made.append(str(warden.id))
    held = engine.container(owner, **over)
    warden.start()
    clean_engine("alpha", connect, Wanted())
    assert engine.has(held)
    warden.kill()
    warden.wait(timeout=20)
    clean_engine("alpha", connect, Wanted())
    assert not engine.has(held)


def test_a_dry_run_names_what_would_go_and_removes_nothing(engine: Engine) -> None:
    container = engine.container(replace(DEAD, run="test-clean-dry"))
    name = engine.client.containers.get(container).name
    cleaned = clean_engine("alpha", connect, Wanted(dry_run=True))
    assert name in cleaned.removed["container"]
    assert engine.has(container)


def test_networks_and_volumes_of_a_run_go_with_its_containers(engine: Engine) -> None:
    run = f"test-clean-{secrets.token_hex(4)}"
    labels = replace(DEAD, run=run).labels()
    volume = engine.client.volumes.create(f"{run}-volume", labels=labels)
    network = engine.client.networks.create(f"{run}-network", labels=labels)
    container = engine.client.containers.create(
        engine.image, ["/none"], labels=labels, network=network.name, volumes={volume.name: {"bind": "/data"}}
    )
    engine.made.append(str(container.id))
    label = f"ceiling.run={run}"
    found = find_ours(engine.client, images=False, label=label)
    assert sorted(ours.kind for ours in found) == ["container", "network", "volume"]
    assert remove_ours(engine.client, found) == {}
    assert find_ours(engine.client, images=False, label=label) == []


def test_images_are_ours_by_label_and_name_and_stay_while_a_run_is_live(engine: Engine) -> None:
    labelled = {LABEL_IMAGE: "tiny"}
    ours, theirs = f"ceiling/test-{secrets.token_hex(4)}:1", f"test-theirs-{secrets.token_hex(4)}:1"
    source = engine.client.containers.get(engine.container(ME))
    for tag in (ours, theirs):
        changes = [f'LABEL {key}="{value}"' for key, value in labelled.items()]
        source.commit(*tag.split(":"), changes="\n".join(changes), message=tag)
    try:
        found = {one.name: one for one in find_ours(engine.client, images=True) if one.kind == "image"}
        assert theirs not in found
        assert found[ours].kept == "a run that may be live needs it"
        assert [one.name for one in find_ours(engine.client, images=False) if one.kind == "image"] == []
        assert remove_ours(engine.client, [found[ours]]) == {}
        with pytest.raises(NotFound):
            engine.client.images.get(ours)
    finally:
        engine.client.images.remove(theirs)


def test_what_is_gone_already_is_no_failure(engine: Engine) -> None:
    run = f"test-clean-{secrets.token_hex(4)}"
    engine.container(replace(DEAD, run=run))
    found = find_ours(engine.client, images=False, label=f"ceiling.run={run}")
    assert remove_ours(engine.client, found) == {}
    assert remove_ours(engine.client, found) == {}


def test_a_host_that_cannot_be_reached_is_told_and_does_not_stop_the_others(engine: Engine) -> None:
    def unreachable() -> docker.DockerClient:
        raise RuntimeUnavailable("beta: no Docker here")

    container = engine.container(DEAD)
    alpha, beta = clean_hosts({"alpha": connect, "beta": unreachable}, Wanted())
    assert not engine.has(container)
    assert (alpha.failed, beta.failed) == ([], ("beta: no Docker here",))
