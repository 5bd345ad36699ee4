"""Until every host answers: over SSH, with its host key checked, and its Docker engine, too."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import paramiko

from harness.errors import HostError
from harness.testbed.keys import KEY, KNOWN_HOSTS

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
    begun = time.monotonic()
    while True:
        try:
            return _ask(address, keys)
        except paramiko.BadHostKeyException:
            raise HostError(
                f"{name} ({address}): shows another host key than {keys / KNOWN_HOSTS} has; take the testbed down, and up again"
            ) from None
        except (paramiko.SSHException, OSError, EOFError, _NotYetError) as error:
            if time.monotonic() > deadline:
                took_s = time.monotonic() - begun
                raise HostError(f"{name} ({address}): does not answer after {took_s:.0f} s: {error}") from None
            time.sleep(PAUSE_S)


class _NotYetError(Exception):
    """SSH answers, the engine does not."""


def _ask(address: str, keys: Path) -> Alive:
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(keys / KNOWN_HOSTS))  # what it lacks is rejected: paramiko's own policy
        client.connect(
            address,
            username="root",
            key_filename=str(keys / KEY),
            timeout=ATTEMPT_DEADLINE_S,
            banner_timeout=ATTEMPT_DEADLINE_S,
            auth_timeout=ATTEMPT_DEADLINE_S,
            allow_agent=False,
            look_for_keys=False,
        )
        engine = _output(client, "docker version --format {{.Server.Version}}")
        return Alive(engine, _output(client, "cat /proc/sys/kernel/random/boot_id"))


def _output(client: paramiko.SSHClient, command: str) -> str:
    _, stdout, stderr = client.exec_command(command, timeout=ATTEMPT_DEADLINE_S)
    try:
        said, complained = stdout.read().decode(), stderr.read().decode().strip()
    except TimeoutError as error:
        raise _NotYetError(f"`{command}` is silent") from error
    if stdout.channel.recv_exit_status() != 0:
        raise _NotYetError(complained.splitlines()[-1] if complained else f"`{command}` failed")
    return said.strip()
