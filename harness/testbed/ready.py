"""Until every host answers: over SSH, with its host key checked, and its Docker engine, too."""

import contextlib
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HostError
from harness.hosts.ssh import SshConnection
from harness.spec.inventory import InventoryHost
from harness.testbed.keys import KEY, KNOWN_HOSTS

SSH_PORT = 22
ATTEMPT_DEADLINE_S = 10.0
PAUSE_S = 0.1


@dataclass(frozen=True)
class Alive:
    """A host that answers."""

    engine: str  # version of its Docker engine
    boot_id: str


def wait_until_ready(addresses: Mapping[str, str], keys: Path, deadline_s: float) -> Mapping[str, Alive]:
    """What each host says of itself, by name; all are asked side by side.

    Args:
        addresses: of the hosts, by name.
        keys: folder of the key that opens them, and of known_hosts.
        deadline_s: for all of them.

    Raises:
        HostError: one does not answer in time, or shows another key than it should; its name, and what it said last.
    """
    deadline = time.monotonic() + deadline_s
    with ThreadPoolExecutor(len(addresses)) as pool:
        asked = {name: pool.submit(_wait, name, address, keys, deadline) for name, address in addresses.items()}
    return {name: future.result() for name, future in asked.items()}


def _wait(name: str, address: str, keys: Path, deadline: float) -> Alive:
    """First sshd, then whatever lies behind it: once that answers, a refusal is final, such as a wrong host key."""
    _wait_for_sshd(name, address, deadline)
    host = InventoryHost(
        address=address, data=None, user="root", port=SSH_PORT, key=KEY, jump=None, cores=None, price_per_hour=None
    )
    connection = SshConnection(name, host, keys, keys / KNOWN_HOSTS)
    try:
        engine = _wait_for_engine(connection, deadline)
        boot_id = connection.run(
            ["cat", "/proc/sys/kernel/random/boot_id"], timeout_s=ATTEMPT_DEADLINE_S
        ).stdout.strip()
        return Alive(engine, boot_id)
    finally:
        connection.close()


def _wait_for_sshd(name: str, address: str, deadline: float) -> None:
    while True:
        try:
            with socket.create_connection((address, SSH_PORT), ATTEMPT_DEADLINE_S) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError as error:
            if time.monotonic() > deadline:
                raise HostError(f"{name}: its sshd does not answer at {address}: {error}") from None
        time.sleep(PAUSE_S)


def _wait_for_engine(connection: SshConnection, deadline: float) -> str:
    while True:
        done = connection.run(["docker", "version", "--format", "{{.Server.Version}}"], timeout_s=ATTEMPT_DEADLINE_S)
        if done.status == 0:
            return done.stdout.strip()
        if time.monotonic() > deadline:
            said = "\n".join([done.stderr.strip(), *_end_of_log(connection)])
            raise HostError(f"{connection.name}: its Docker engine does not answer: {said}")
        time.sleep(PAUSE_S)


def _end_of_log(connection: SshConnection) -> list[str]:
    with contextlib.suppress(HostError):
        log = connection.run(["tail", "-n", "3", "/var/log/dockerd.log"], timeout_s=ATTEMPT_DEADLINE_S)
        return [f"    {line}" for line in log.stdout.splitlines()]
    return []
