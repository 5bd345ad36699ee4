"""A real engine, a purpose-made image on the real base, and nothing left behind."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest

from harness.images import ImageInfo, connect, ensure_images
from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.docker import DockerRuntime, DockerService

ROOT = Path(__file__).resolve().parents[2]
OWN_IMAGES = Path(__file__).parent / "images"

Start = Callable[..., DockerService]


@pytest.fixture
def images_dir(tmp_path: Path) -> Path:
    """A folder of images of the test's own: the tests' small ones, and the real base."""
    return copy_images(tmp_path / "images")


def copy_images(target: Path) -> Path:
    shutil.copytree(OWN_IMAGES, target, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "images" / "base", target / "base")
    return target


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageInfo]:
    folder = tmp_path_factory.mktemp("session")
    return ensure_images(client, copy_images(folder / "images"), ["tiny"], folder / "logs", print)


@pytest.fixture
def runtime(client: docker.DockerClient, images: dict[str, ImageInfo], request: pytest.FixtureRequest) -> DockerRuntime:
    return DockerRuntime(client, images, make_owner(f"test-{request.node.name}"))


@pytest.fixture
def start(runtime: DockerRuntime) -> Iterator[Start]:
    """Starts the tiny service with something to do; removes it afterwards."""
    started: list[DockerService] = []

    def start_doing(do: str, config: Mapping[str, object] | None = None, **settings: Any) -> DockerService:
        fields: dict[str, Any] = {"role": "server", "cores": (), **settings}
        config = {"do": do, **(config or {})}
        spec = ServiceSpec(name=f"{do}-{len(started)}", image="tiny", config=config, **fields)
        started.append(runtime.start(spec))
        return started[-1]

    yield start_doing
    for service in started:
        service.remove()
