"""Images get to the hosts that lack them: real engines on a testbed, over SSH, with what goes wrong on the way."""

import contextlib
import io
import os
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import docker
import pytest
import yaml
from docker.errors import ImageNotFound

from harness.errors import ImageError
from harness.hosts.ssh import SshConnection, connect_all
from harness.images import connect, shipping
from harness.images.distribute import Engine, Images, ensure_everywhere
from harness.runtime.docker.over_ssh import connect_over
from harness.spec.inventory import Inventory
from tests.docker.conftest import copy_images
from tests.testbed_fixture import Testbed

pytestmark = [pytest.mark.docker, pytest.mark.slow]

BALLAST_BYTES = 40_000_000  # more than waits on the way
MOVING_MB = 5  # so much was sent when the middle of a load is meant
HERE = "controller"
DEADLINE_S = 30.0
FIND_ENGINE = "engine=$(pgrep -x dockerd); read -r _ _ _ keeper _ < /proc/$engine/stat; "
STOP_ENGINE = FIND_ENGINE + "echo $keeper > /run/keeper; kill -STOP $keeper; kill -KILL $engine"
LET_ENGINE_START = "kill -CONT $(cat /run/keeper)"


@dataclass
class Sites:
    """The engines of a testbed and of this machine, and an image that only the latter has yet."""

    engines: dict[str, Engine]
    connections: dict[str, SshConnection]
    containers: dict[str, str]  # on the engine here, by host
    folder: Path
    fresh: str  # tag of the image
    said: list[str] = field(default_factory=list)
    when_moving: Callable[[], None] | None = None  # called once, in the middle of the first load

    def ensure(self, *folders: str) -> dict[str, Images]:
        return ensure_everywhere(
            self.engines, self.folder / "images", folders, [self.fresh], self.folder / "state", self._say
        )

    def inside(self, host: str, script: str) -> None:
        argv = ["docker", "exec", self.containers[host], "sh", "-c", script]
        subprocess.run(argv, check=True, timeout=DEADLINE_S)

    def sendings(self) -> list[str]:
        return [line for line in self.said if "sending" in line]

    def _say(self, line: str) -> None:
        self.said.append(line)
        words = line.split()
        if self.when_moving and words[2:4] == ["MB", "sent"] and int(words[1]) >= MOVING_MB:
            act, self.when_moving = self.when_moving, None
            act()


@pytest.fixture
def sites(testbed: Testbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    monkeypatch.setattr(shipping, "TELL_EVERY_S", 0.0)  # every piece is told
    inventory = Inventory.model_validate(yaml.safe_load(testbed.inventory.read_text()), strict=False)
    connections = connect_all(inventory, testbed.inventory.parent)
    engines = {name: Engine.of(name, connect_over(way.transport, name)) for name, way in connections.items()}
    engines[HERE] = Engine.of(HERE, connect(), own=True)
    containers = dict(zip(inventory.hosts, testbed.containers, strict=True))
    made = Sites(engines, connections, containers, tmp_path, make_fresh(engines[HERE].client))
    yield made
    for engine in engines.values():
        with contextlib.suppress(ImageNotFound):
            engine.client.images.remove(made.fresh, force=True)
        engine.client.close()
    for way in connections.values():
        way.close()


def make_fresh(client: docker.DockerClient) -> str:
    """An image of one file that does not compress, which no engine has had before."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("ballast")
        entry.size = BALLAST_BYTES
        tar.addfile(entry, io.BytesIO(os.urandom(BALLAST_BYTES)))
    name = f"fresh-{uuid.uuid4().hex[:12]}"
    client.api.import_image_from_data(archive.getvalue(), repository=name, tag="1")
    return f"{name}:1"


def test_hosts_get_what_they_lack_once_and_all_have_the_same_ids(sites: Sites) -> None:
    copy_images(sites.folder / "images")
    images = sites.ensure("tiny")
    assert list(images) == list(sites.engines)
    for host, engine in sites.engines.items():
        assert set(images[host]) == {"base", "tiny", sites.fresh}
        for name, image in images[HERE].items():
            assert images[host][name].id == image.id == engine.client.images.get(image.tag).id
    assert len(sites.sendings()) == 1
    sites.said.clear()
    assert sites.ensure("tiny").keys() == images.keys()
    assert sites.said == []


def test_without_an_engine_of_the_controllers_own_the_first_host_builds_and_sends(sites: Sites) -> None:
    sites.ensure()
    first, second, _, here = sites.engines
    for lacking in (second, here):
        sites.engines[lacking].client.images.remove(sites.fresh, force=True)
    own = sites.engines.pop(here)
    sites.said.clear()
    sites.ensure()
    assert sites.sendings() == [f"images: sending 1 from {first} to {second} …"]
    sites.engines[here] = own


def test_a_host_with_a_full_disk_is_named_and_the_others_have_the_images(sites: Sites) -> None:
    sites.inside("host-2", "mount -t tmpfs -o size=20m tmpfs /var/lib/docker/tmp")
    try:
        with pytest.raises(ImageError) as raised:
            sites.ensure()
    finally:
        sites.inside("host-2", "umount -l /var/lib/docker/tmp")
    assert str(raised.value).startswith("host-2: its disk is full (no space left on device)")
    assert "\n" not in str(raised.value)
    sites.said.clear()
    sites.ensure()
    assert sites.sendings() == [f"images: sending 1 from {HERE} to host-2 …"]


def test_a_connection_that_is_lost_in_mid_load_is_made_anew_and_the_images_arrive(sites: Sites) -> None:
    sites.when_moving = lambda: sites.connections["host-3"].transport().close()
    images = sites.ensure()
    assert sites.sendings()[1:] == [f"images: sending 1 from {HERE} to host-3 …"]
    assert sites.engines["host-3"].client.images.get(sites.fresh).id == images["host-3"][sites.fresh].id


def test_an_engine_that_is_gone_in_mid_load_is_one_line_and_the_others_have_the_images(
    sites: Sites, testbed: Testbed
) -> None:
    sites.when_moving = lambda: sites.inside("host-3", STOP_ENGINE)
    try:
        with pytest.raises(ImageError) as raised:
            sites.ensure()
    finally:
        sites.inside("host-3", LET_ENGINE_START)
        testbed.restore()
    assert str(raised.value).startswith("host-3: its engine cannot be reached: ")
    assert "\n" not in str(raised.value)
    assert sites.engines["host-2"].client.images.get(sites.fresh)


def test_an_image_of_another_architecture_is_refused_before_anything_is_sent(sites: Sites) -> None:
    its = sites.engines[HERE].architecture
    sites.engines |= {host: replace(engine, architecture="vax") for host, engine in sites.engines.items()}
    with pytest.raises(
        ImageError, match=rf"^{HERE}: image {sites.fresh} is of architecture {its}, the host's is vax; "
    ):
        sites.ensure()
    assert sites.said == []
