"""A testbed's hosts behave as hosts do: reached by SSH with their keys checked, with an engine of their own, killed and back."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from harness.errors import HostError
from harness.hosts.ssh import SshConnection, connect_all
from harness.images import connect
from harness.images.base import ensure_base
from harness.images.settings import Settings
from harness.spec.inventory import Inventory
from harness.testbed.keys import make_key, write_keys
from harness.testbed.ready import wait_until_ready
from tests.testbed_fixture import Testbed

pytestmark = [pytest.mark.docker, pytest.mark.slow]

BOOT_ID = ["cat", "/proc/sys/kernel/random/boot_id"]
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def inventory(testbed: Testbed) -> Inventory:
    return Inventory.model_validate(yaml.safe_load(testbed.inventory.read_text()), strict=False)


@pytest.fixture
def hosts(testbed: Testbed, inventory: Inventory) -> Iterator[dict[str, SshConnection]]:
    connections = connect_all(inventory, testbed.inventory.parent)
    yield connections
    for connection in connections.values():
        connection.close()


@pytest.fixture
def pull(testbed: Testbed, inventory: Inventory) -> Iterator[Callable[[str, str], None]]:
    """Pulls a power switch of the inventory: host, action. Brings everything back in the end."""

    def act(host: str, action: str) -> None:
        argv = getattr(inventory.hosts[host].power, action)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, cwd="/")
        assert (done.returncode, done.stderr) == (0, "")

    yield act
    testbed.restore()


@pytest.fixture(scope="module")
def shipped(testbed: Testbed, inventory: Inventory) -> str:
    """An image on the second host: the base, sent there as `docker save | ssh docker load` would."""
    client = connect()
    base = ensure_base(client, testbed.places.images, Settings.from_environment(), testbed.places.state, print)
    host = connect_all(inventory, testbed.inventory.parent)["host-2"]
    with host.transport().open_session() as channel:
        channel.settimeout(DEADLINE_S)
        channel.exec_command("docker load --quiet")
        for chunk in client.images.get(base.id).save():
            channel.sendall(chunk)
        channel.shutdown_write()
        assert channel.recv_exit_status() == 0
    host.close()
    client.close()
    return base.id


def say(connection: SshConnection, *argv: str) -> str:
    done = connection.run(argv, timeout_s=DEADLINE_S)
    assert done.status == 0, done.stderr
    return done.stdout.strip()


def alive(testbed: Testbed, inventory: Inventory, host: str) -> str:
    """Wait until a host answers again; its boot id."""
    return wait_until_ready({host: inventory.hosts[host].address}, testbed.site.keys, DEADLINE_S)[host].boot_id


def test_every_host_has_its_name_and_a_boot_id_of_its_own(hosts: dict[str, SshConnection]) -> None:
    boots = {say(connection, *BOOT_ID) for connection in hosts.values()}
    machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert [say(connection, "hostname") for connection in hosts.values()] == ["host-1", "host-2", "host-3"]
    assert len(boots - {machine}) == 3


def test_every_host_runs_on_the_cpus_that_the_inventory_says(
    hosts: dict[str, SshConnection], inventory: Inventory
) -> None:
    for name, connection in hosts.items():
        allowed = say(connection, "grep", "Cpus_allowed_list", "/proc/self/status").split()[1]
        count = int(say(connection, "docker", "info", "--format", "{{.NCPU}}"))
        listed = [cpu for part in allowed.split(",") for cpu in _range(part)]
        assert listed == [int(cpu) for cpu in str(inventory.hosts[name].cores).split(",")]
        assert count == len(listed)


def _range(part: str) -> range:
    first, _, last = part.partition("-")
    return range(int(first), int(last or first) + 1)


def test_a_host_with_another_key_than_the_known_one_is_refused(
    testbed: Testbed, inventory: Inventory, tmp_path: Path
) -> None:
    address = inventory.hosts["host-1"].address
    write_keys(tmp_path, make_key(), {address: make_key()})
    with pytest.raises(HostError, match=r"host-1: .* shows ANOTHER HOST KEY"):
        wait_until_ready({"host-1": address}, tmp_path, DEADLINE_S)


def test_a_container_on_a_host_is_reached_by_another_host(
    hosts: dict[str, SshConnection], inventory: Inventory, shipped: str
) -> None:
    served = ["python3", "-c", SERVE_ONE]
    say(hosts["host-2"], "docker", "run", "--detach", "--rm", "--publish", "8080:80", shipped, *served)
    address = inventory.hosts["host-2"].data
    assert say(hosts["host-1"], "python3", "-c", READ_ALL, str(address)) == "from a container"


SERVE_ONE = """
import socket
with socket.create_server(("", 80)) as listening:
    taken, _ = listening.accept()
    taken.sendall(b"from a container")
    taken.close()
"""
READ_ALL = """
import socket, sys, time
for _ in range(100):
    with socket.create_connection((sys.argv[1], 8080)) as connected:
        said = connected.recv(100)  # nothing as long as only the engine's proxy listens
    if said:
        break
    time.sleep(0.1)
print(said.decode())
"""


def test_a_host_may_cut_itself_off_from_another(hosts: dict[str, SshConnection], inventory: Inventory) -> None:
    rule = ["INPUT", "--source", str(inventory.hosts["host-3"].data), "--jump", "DROP"]
    say(hosts["host-2"], "iptables", "--append", *rule)
    cut = say(hosts["host-3"], "python3", "-c", CAN_CONNECT, str(inventory.hosts["host-2"].data))
    say(hosts["host-2"], "iptables", "--delete", *rule)
    healed = say(hosts["host-3"], "python3", "-c", CAN_CONNECT, str(inventory.hosts["host-2"].data))
    assert (cut, healed) == ("False", "True")


CAN_CONNECT = """
import socket, sys
with socket.socket() as connecting:
    connecting.settimeout(1)
    print(connecting.connect_ex((sys.argv[1], 22)) == 0)
"""


def test_a_killed_host_comes_back_as_a_rebooted_one_with_its_images(
    testbed: Testbed,
    inventory: Inventory,
    hosts: dict[str, SshConnection],
    shipped: str,
    pull: Callable[[str, str], None],
) -> None:
    before = say(hosts["host-2"], *BOOT_ID)
    pull("host-2", "kill")
    with pytest.raises(HostError, match="host-2"):
        hosts["host-2"].run(["true"], timeout_s=5)
    pull("host-2", "start")
    assert alive(testbed, inventory, "host-2") != before
    assert shipped in say(hosts["host-2"], "docker", "images", "--no-trunc", "--quiet")


def test_a_frozen_host_does_not_answer_and_goes_on_when_thawed(
    hosts: dict[str, SshConnection], pull: Callable[[str, str], None]
) -> None:
    before = say(hosts["host-3"], *BOOT_ID)
    pull("host-3", "freeze")
    with pytest.raises(HostError, match="host-3"):
        hosts["host-3"].run(["true"], timeout_s=2)
    pull("host-3", "thaw")
    assert say(hosts["host-3"], *BOOT_ID) == before


def test_an_engine_that_dies_is_started_again(
    testbed: Testbed, inventory: Inventory, hosts: dict[str, SshConnection]
) -> None:
    before = say(hosts["host-3"], "pgrep", "--exact", "dockerd")
    say(hosts["host-3"], "kill", "-KILL", before)
    alive(testbed, inventory, "host-3")
    assert say(hosts["host-3"], "pgrep", "--exact", "dockerd") != before


def test_a_testbed_that_is_up_is_not_made_again(testbed: Testbed, hosts: dict[str, SshConnection]) -> None:
    before = {name: say(connection, *BOOT_ID) for name, connection in hosts.items()}
    testbed.restore()
    assert {name: say(connection, *BOOT_ID) for name, connection in hosts.items()} == before


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["kill"], 2, "usage: power.py"),
        (["explode", "x"], 2, "usage: power.py"),
        (["kill", "ceiling-there-is-none"], 1, "kill ceiling-there-is-none: "),
    ],
)
def test_a_switch_that_does_not_work_says_so(
    inventory: Inventory, arguments: list[str], status: int, said: str
) -> None:
    switch = inventory.hosts["host-1"].power.kill[:-2]
    done = subprocess.run([*switch, *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == status
    assert done.stderr.startswith(said)
