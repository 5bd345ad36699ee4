"""A Debian as it is delivered: Python without ensurepip."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from harness.images import connect
from harness.images.base import ensure_base
from harness.images.settings import Settings
from tests.setup.conftest import ROOT, Checkout

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "PIP_CONFIG_FILE": "/dev/null"}


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    client = connect()
    yield client
    client.close()


@pytest.fixture
def debian(client: docker.DockerClient, checkout: Checkout, tmp_path: Path) -> Iterator[Container]:
    """A container of the images' base, with the small checkout in /src and its packages in /wheels."""
    settings = Settings.from_environment()
    image = ensure_base(client, ROOT / "images", settings, tmp_path / "build", print)
    container = client.containers.create(
        image.id, ["sleep", "600"], network_mode="host", environment={**settings.build_arguments(), **OFFLINE}
    )
    try:
        container.put_archive("/", _archive({"src": checkout.path, "wheels": checkout.wheels}))
        container.start()
        yield container
    finally:
        container.remove(force=True)


def _archive(folders: dict[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, folder in folders.items():
            archive.add(folder, name)
    return buffer.getvalue()


def set_up(container: Container, user: str) -> tuple[int, str]:
    done = container.exec_run(["harness/setup.sh", "runtime"], workdir="/src", user=user)
    assert isinstance(done.output, bytes)
    assert done.exit_code is not None
    return done.exit_code, done.output.decode()


def test_a_user_is_told_which_package_is_missing(debian: Container) -> None:
    assert debian.exec_run(["chown", "-R", "nobody", "/src"]).exit_code == 0
    status, output = set_up(debian, user="nobody")
    assert status == 3
    assert "run as root: apt-get install python3." in output
    assert output.count("\n") == 1


def test_a_checkout_of_somebody_else_is_left_alone(debian: Container) -> None:
    status, output = set_up(debian, user="nobody")
    assert status == 3
    assert "is not yours to write" in output
    assert output.count("\n") == 1


def test_root_gets_it_installed(debian: Container) -> None:
    status, output = set_up(debian, user="root")
    assert status == 0, output
    assert "-venv …" in output
    assert debian.exec_run([".venv/bin/python", "-c", "import alpha"], workdir="/src").exit_code == 0
    assert set_up(debian, user="root") == (0, "")
