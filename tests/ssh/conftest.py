from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.hosts.ssh import SshConnection
from tests.ssh.sshd import Sshd, running_sshd


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, without keys and configuration; no agent."""
    folder = tmp_path_factory.mktemp("home")
    (folder / ".ssh").mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server for tests that leave it as it is."""
    with running_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def connection(sshd: Sshd, tmp_path: Path) -> Iterator[SshConnection]:
    made = sshd.connection(tmp_path)
    yield made
    made.close()
