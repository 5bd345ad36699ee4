"""What tests of runs over hosts may ask for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.images import connect
from tests.testbed_fixture import Testbed


@pytest.fixture
def inside(testbed: Testbed) -> Iterator[list[Any]]:
    """The testbed's hosts as containers of this machine's engine; all of them are well again afterwards."""
    client = connect()
    yield [client.containers.get(name) for name in testbed.containers]
    client.close()
    testbed.restore()


@pytest.fixture
def two_client_hosts(testbed: Testbed) -> Iterator[Path]:
    """Another inventory of the testbed's hosts: the first and the last are the clients', and one is the server's."""
    path = testbed.inventory.with_name("two-client-hosts.yaml")
    head, _, last = testbed.inventory.read_text().rpartition("    - server\n")
    path.write_text(f"{head}    - client\n{last}")
    yield path
    path.unlink()


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """Two trials of 4 s, with two client processes each: in one container, or on two hosts in one each."""
    path = tmp_path / "lost.yaml"
    path.write_text(
        """\
version: 1
title: Something is lost
base:
  model: reactor
  clients: 2
  load: {connections: 4, warmup: 100 ms, window: 4 s}
factors:
  load.connections: [2, 4]
repeats: 1
canary: false
"""
    )
    return path
