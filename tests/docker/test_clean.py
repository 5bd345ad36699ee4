"""Cleaning goes by labels: our own, and what the dead left behind; never what a live run owns."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import docker
import pytest
from docker.errors import NotFound

from harness.images import ImageInfo
from harness.runtime.base import Owner, ServiceSpec, make_owner
from harness.runtime.docker import DockerRuntime
from tests.docker.conftest import ROOT

pytestmark = pytest.mark.docker

SPEC = ServiceSpec(name="left", role="server", image="tiny", config={"do": "wait"}, cores=())
ANOTHER_RUN = """
import signal, sys
from types import SimpleNamespace
from harness.images import connect
from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.docker import DockerRuntime
image = SimpleNamespace(id=sys.argv[1], tag="", digest="", route="", seccomp=None)
spec = ServiceSpec(name="left", role="server", image="tiny", config={"do": "wait"}, cores=())
runtime = DockerRuntime(connect(), {"tiny": image}, make_owner(sys.argv[2]))
runtime.start(spec)
print("started", flush=True)
signal.pause()
"""


def owned(client: docker.DockerClient, run: str) -> int:
    return len(client.containers.list(all=True, filters={"label": f"ceiling.run={run}"}))


@pytest.fixture
def run(request: pytest.FixtureRequest, client: docker.DockerClient) -> Iterator[str]:
    """A run's id; what it started is gone afterwards."""
    name = f"test-{request.node.name}"
    yield name
    for container in client.containers.list(all=True, filters={"label": f"ceiling.run={name}"}):
        try:
            container.remove(force=True)
        except NotFound:
            continue


def start_as(client: docker.DockerClient, images: dict[str, ImageInfo], owner: Owner) -> None:
    DockerRuntime(client, images, owner).start(SPEC)


def test_removes_all_of_its_own_run(client: docker.DockerClient, images: dict[str, ImageInfo], run: str) -> None:
    runtime = DockerRuntime(client, images, make_owner(run))
    for name in ("one", "two"):
        runtime.start(replace(SPEC, name=name))
    ended = runtime.start(replace(SPEC, name="three", config={"do": "end", "status": 0}))
    ended.wait(30)
    assert runtime.clean() >= 3
    assert owned(client, run) == 0


def test_leaves_what_a_live_process_owns_and_removes_it_once_that_was_killed(
    client: docker.DockerClient, images: dict[str, ImageInfo], run: str
) -> None:
    ours = DockerRuntime(client, images, make_owner("another"))
    argv = [sys.executable, "-c", ANOTHER_RUN, images["tiny"].id, run]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "started\n"
            ours.clean()
            assert owned(client, run) == 1
        finally:
            other.kill()
    assert ours.clean() >= 1
    assert owned(client, run) == 0


GONE = {
    "before the last reboot": {"boot_id": "5b1cf1a6-0000-4000-8000-000000000000"},
    "with a process id that is now another's": {"pid_started": "1"},
    "with a process id that nobody has": {"pid": 2**22 + 1},
}


@pytest.mark.parametrize("change", GONE.values(), ids=["reboot", "reused-pid", "no-pid"])
def test_removes_what_was_left(
    client: docker.DockerClient, images: dict[str, ImageInfo], run: str, change: dict[str, object]
) -> None:
    start_as(client, images, replace(make_owner(run), **change))  # type: ignore[arg-type]
    DockerRuntime(client, images, make_owner("another")).clean()
    assert owned(client, run) == 0


LIVE = {
    "another run of this process": {},
    "another host": {"host": "elsewhere", "pid": 2**22 + 1},
    "another host that has rebooted": {"host": "elsewhere", "boot_id": "5b1cf1a6-0000-4000-8000-000000000000"},
    "an owner that is not named in full": {"pid_started": ""},
}


@pytest.mark.parametrize("change", LIVE.values(), ids=["another-run", "another-host", "rebooted-host", "incomplete"])
def test_leaves_what_may_be_alive(
    client: docker.DockerClient, images: dict[str, ImageInfo], run: str, change: dict[str, object]
) -> None:
    start_as(client, images, replace(make_owner(run), **change))  # type: ignore[arg-type]
    DockerRuntime(client, images, make_owner("another")).clean()
    assert owned(client, run) == 1
