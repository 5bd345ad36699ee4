"""A real bare host over real SSH: prepared, prepared again, and taken back."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.hosts.prepare import prepare_hosts
from harness.hosts.prepare.apply import apply_plan
from harness.hosts.prepare.record import Prepared
from harness.hosts.prepare.steps import Command, Plan, Step
from harness.hosts.ssh import SshConnection, connect_all
from harness.images import connect, ensure_images
from harness.runtime.base import make_owner
from harness.runtime.docker.over_ssh import connect_over
from harness.spec.inventories import load_inventory
from tests.prepare.bare import SOMAXCONN, BareHost, bare_host, write_inventory

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareHost]:
    folder = tmp_path_factory.mktemp("bare")
    shutil.copytree(Path(__file__).parent / "images", folder / "images")
    shutil.copytree(ROOT / "images" / "base", folder / "images" / "base")
    client = connect()
    image = ensure_images(client, folder / "images", ["bare"], folder / "logs", print)["bare"]
    with bare_host(client, image.id) as host:
        yield host
    client.close()


@pytest.fixture
def ops(host: BareHost, tmp_path: Path) -> Iterator[SshConnection]:
    """The user who may become root."""
    connection = reach(host, tmp_path, "ops")
    yield connection
    connection.close()


def reach(host: BareHost, folder: Path, user: str) -> SshConnection:
    """A connection to the host, once its sshd answers."""
    path = write_inventory(host, folder, user)
    (connection,) = connect_all(load_inventory(path), folder).values()
    deadline = time.monotonic() + 20
    while True:
        try:
            connection.run(["true"], timeout_s=20)
        except HostError:
            assert time.monotonic() < deadline, "sshd does not answer"
            time.sleep(0.1)
        else:
            return connection


def told(connection: SshConnection, *, dry_run: bool = False, undo: bool = False) -> list[str]:
    """What a run says; nothing may fail."""
    lines: list[str] = []
    assert prepare_hosts([connection], lines.append, dry_run=dry_run, undo=undo) == {}
    return lines


def harness(*words: str) -> subprocess.CompletedProcess[str]:
    """The command, as a person gives it."""
    argv = [sys.executable, "-m", "harness", *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def left_behind_by_a_dead_run(host: BareHost, connection: SshConnection) -> None:
    labels = replace(make_owner("left"), pid=2**22 + 1).labels()
    with closing(connect_over(connection.transport, connection.name)) as engine:
        engine.api.import_image_from_data(bytes(10_240), repository="nothing", tag="1")
        engine.containers.create("nothing:1", ["/none"], labels=labels)
        engine.containers.create("nothing:1", ["/none"], labels={"a": "stranger's"})
    assert host.sees("docker", "ps", "-aq", "--filter", "label=ceiling.run") != ""


def test_a_bare_host_is_prepared_once_cleaned_and_taken_back(
    host: BareHost, ops: SshConnection, tmp_path: Path
) -> None:
    bare = host.everything()

    lines = told(ops, dry_run=True)
    assert any("would install docker.io containerd iptables docker-cli" in line for line in lines)
    assert all(line.startswith("bare-ops: ") for line in lines)
    assert host.everything() == bare

    assert told(ops)[-1] == "bare-ops: ready"
    assert host.sees("cat", "/proc/sys/net/core/somaxconn") == "4096"
    engine = ["docker", "version", "--format", "{{.Server.Os}}"]
    assert ops.run(engine, timeout_s=20).stdout == "linux\n"  # as a member of the group

    left_behind_by_a_dead_run(host, ops)
    cleaned = harness("clean", str(tmp_path / "ops.yaml"))
    assert (cleaned.returncode, cleaned.stderr) == (0, "")
    assert cleaned.stdout.splitlines()[1].split() == ["bare-ops", "1", "0", "0", "0", "0"]
    assert host.sees("docker", "ps", "-aq", "--filter", "label=ceiling.run") == ""
    assert host.sees("docker", "ps", "-aq", "--filter", "label=a") != ""

    prepared = host.everything()
    again = harness("hosts", "prepare", str(tmp_path / "ops.yaml"))
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "bare-ops: ready: nothing to do")
    assert host.everything() == prepared

    lines = told(ops, undo=True)
    assert any("apt-get purge --autoremove docker.io" in line for line in lines)
    assert host.everything() == f"{bare}\n/usr/sbin/dockerd"
    assert host.sees("cat", "/proc/sys/net/core/somaxconn") == SOMAXCONN
    assert told(ops, undo=True)[-1] == "bare-ops: nothing to take back"


def test_a_user_who_may_not_become_root_is_told_and_others_go_on(
    host: BareHost, ops: SshConnection, tmp_path: Path
) -> None:
    guest = reach(host, tmp_path, "guest")
    lines: list[str] = []
    failed = prepare_hosts([guest, ops], lines.append, dry_run=True)
    assert list(failed) == ["bare-guest"]
    assert "set `user: root`" in str(failed["bare-guest"])
    assert any(line.startswith("bare-ops: ") for line in lines)
    guest.close()
    refused = harness("hosts", "prepare", str(tmp_path / "guest.yaml"))
    assert (refused.returncode, refused.stderr) == (3, f"{failed['bare-guest']}\n")


def test_the_first_step_that_fails_ends_it_in_a_line_and_is_recorded(ops: SshConnection) -> None:
    argv = ("sh", "-c", "echo 'not this line'; echo 'the disk is full' >&2; exit 7")
    steps = (Step("fill the disk", "a test", (Command(argv, says="fill"),)), Step("never", "a test", ()))
    lines: list[str] = []
    with pytest.raises(HostError) as error:
        apply_plan(ops, Plan(steps), Prepared(), lines.append)
    assert str(error.value).startswith("bare-ops: fill the disk: `fill` ended with status 7: the disk is full;")
    assert lines == ["1/2 fill the disk"]
