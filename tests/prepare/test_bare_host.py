"""A real bare host over real SSH: prepared, prepared again, and taken back."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.hosts.prepare import prepare_hosts
from harness.hosts.prepare.apply import apply_plan
from harness.hosts.prepare.record import Prepared
from harness.hosts.prepare.steps import Command, Plan, Step
from harness.images import connect, ensure_images
from tests.prepare.bare import SOMAXCONN, BareHost, Ssh, bare_host

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
def ops(host: BareHost) -> Iterator[Ssh]:
    """The user who may become root."""
    connection = reach(host, "ops")
    yield connection
    connection.close()


def reach(host: BareHost, user: str) -> Ssh:
    deadline = time.monotonic() + 20
    while True:
        try:
            return Ssh(host, user)
        except OSError:
            assert time.monotonic() < deadline, "sshd does not answer"
            time.sleep(0.1)


def told(connection: Ssh, *, dry_run: bool = False, undo: bool = False) -> list[str]:
    """What a run says; nothing may fail."""
    lines: list[str] = []
    assert prepare_hosts([connection], lines.append, dry_run=dry_run, undo=undo) == {}
    return lines


def test_a_bare_host_is_prepared_once_and_taken_back(host: BareHost, ops: Ssh) -> None:
    bare = host.everything()

    lines = told(ops, dry_run=True)
    assert any("would install docker.io containerd iptables docker-cli" in line for line in lines)
    assert all(line.startswith("bare-ops: ") for line in lines)
    assert host.everything() == bare

    assert told(ops)[-1] == "bare-ops: ready"
    assert host.sees("cat", "/proc/sys/net/core/somaxconn") == "4096"
    ops.close()
    again = reach(host, "ops")  # a new login: the group counts
    assert again.run(["docker", "version", "--format", "{{.Server.Os}}"], timeout_s=20).stdout == "linux\n"

    prepared = host.everything()
    assert told(again)[-1] == "bare-ops: ready: nothing to do"
    assert host.everything() == prepared

    lines = told(again, undo=True)
    assert any("apt-get purge --autoremove docker.io" in line for line in lines)
    assert host.everything() == f"{bare}\n/usr/sbin/dockerd"
    assert host.sees("cat", "/proc/sys/net/core/somaxconn") == SOMAXCONN
    assert told(again, undo=True)[-1] == "bare-ops: nothing to take back"
    again.close()


def test_a_user_who_may_not_become_root_is_told_and_others_go_on(host: BareHost, ops: Ssh) -> None:
    guest = reach(host, "guest")
    lines: list[str] = []
    failed = prepare_hosts([guest, ops], lines.append, dry_run=True)
    assert list(failed) == ["bare-guest"]
    assert "set `user: root`" in str(failed["bare-guest"])
    assert any(line.startswith("bare-ops: ") for line in lines)
    guest.close()


def test_the_first_step_that_fails_ends_it_in_a_line_and_is_recorded(host: BareHost, ops: Ssh) -> None:
    argv = ("sh", "-c", "echo 'not this line'; echo 'the disk is full' >&2; exit 7")
    steps = (Step("fill the disk", "a test", (Command(argv, says="fill"),)), Step("never", "a test", ()))
    lines: list[str] = []
    with pytest.raises(HostError) as error:
        apply_plan(ops, Plan(steps), Prepared(), lines.append)
    assert str(error.value).startswith("bare-ops: fill the disk: `fill` ended with status 7: the disk is full;")
    assert lines == ["1/2 fill the disk"]
