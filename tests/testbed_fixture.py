"""A testbed for the tests of a session: made by the first that asks, shared by all xdist workers, gone with the last.

It is another than a user's, and than that of any other session. One that a killed session left is removed first.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from harness.images import connect
from harness.testbed.make import Up, Workshop, down, up
from harness.testbed.parts import labels_of
from harness.testbed.site import LABEL, LABEL_INVENTORY, Site, locked

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "testbed-tests-"  # and the process id of the session
HOSTS = 3


@dataclass(frozen=True)
class Testbed:
    """Three hosts: the first is the client's and the balancer's, the others are servers."""

    __test__ = False  # no class of tests, whatever its name begins with

    site: Site
    places: Workshop
    containers: tuple[str, ...]  # on the engine here, by host

    @property
    def inventory(self) -> Path:
        """The inventory file."""
        return self.site.inventory

    def restore(self) -> None:
        """Bring back hosts that a test has killed or frozen; returns when all answer."""
        _up(self.site, self.places)


@pytest.fixture(scope="session")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """The session's testbed. A test that harms a host calls `restore` in the end."""
    shared = _session_folder(tmp_path_factory) / "testbed"
    site = Site(f"{PREFIX}{_session_pid()}", shared / "testbed.yaml", shared / "keys")
    places = Workshop(ROOT / "images", shared / "state")
    users = shared / "users"
    with locked(shared):
        _remove_left_over()
        _count(users, +1)
        made = _up(site, places)
    yield Testbed(site, places, made.containers)
    with locked(shared):
        if _count(users, -1) == 0:
            client = connect()
            down(client, site, places.state, print)
            client.close()


def _up(site: Site, places: Workshop) -> Up:
    client = connect()
    try:
        return up(client, site, HOSTS, places, print)
    finally:
        client.close()


def _count(users: Path, change: int) -> int:
    count = (int(users.read_text()) if users.exists() else 0) + change
    users.write_text(str(count))
    return count


def _in_a_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ


def _session_folder(factory: pytest.TempPathFactory) -> Path:
    """The one that all workers of a session have in common."""
    own = factory.getbasetemp()
    return own.parent if _in_a_worker() else own


def _session_pid() -> int:
    """Of the process that all of a session's workers have as their parent, or that is the session."""
    return os.getppid() if _in_a_worker() else os.getpid()


def _remove_left_over() -> None:
    """Testbeds of sessions that are dead."""
    client = connect()
    for name, inventory in _testbeds(client):
        if name.startswith(PREFIX) and not Path("/proc", name.removeprefix(PREFIX)).exists():
            down(client, Site(name, inventory, inventory.parent / "keys"), inventory.parent / "state", print)
    client.close()


def _testbeds(client: docker.DockerClient) -> set[tuple[str, Path]]:
    containers = client.containers.list(all=True, filters={"label": LABEL})
    labels = [labels_of(container.attrs) for container in containers]
    return {(found[LABEL], Path(found[LABEL_INVENTORY])) for found in labels}
