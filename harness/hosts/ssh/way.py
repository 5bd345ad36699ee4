"""How a host is reached, by the inventory and `~/.ssh/config`: directly, or through jump hosts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fabric
from paramiko import SSHException

from harness.errors import HostError
from harness.hosts.known_hosts import Refuse, read_known_hosts
from harness.hosts.ssh.identities import Identities
from harness.spec.inventory import InventoryHost

DEFAULT_USER = "root"


@dataclass(frozen=True)
class Way:
    """What the inventory says of the way to a host."""

    name: str  # the host's, in the inventory
    host: InventoryHost
    folder: Path  # of the inventory
    known_hosts: Path
    inventory: str  # as a person would name it in a command

    @property
    def trust_command(self) -> str:
        """The command that shows host keys and adds them."""
        return f"harness hosts trust {self.inventory}"


@dataclass(frozen=True)
class Hop:
    """One SSH connection of the way: a jump host's, or the host's own, not opened yet."""

    connection: Any  # fabric.Connection, which ships no types
    jump: bool

    @property
    def place(self) -> str:
        """Address and port, for messages."""
        return f"{self.connection.host} port {self.connection.port}"


def hops_of(way: Way) -> list[Hop]:
    """The connections to open, one after the other, the host's own last; each checks host keys and asks for nothing.

    Raises:
        HostError: `~/.ssh/config` or the known host keys cannot be read.
    """
    try:
        config = fabric.Config(overrides={"user": DEFAULT_USER}, lazy=True)  # lazy: no fabric.yaml from anywhere
        config.load_ssh_config()
        gateway = (
            fabric.Connection(way.host.jump, config=config) if way.host.jump else _no_jump(config, way.host.address)
        )
        connection = fabric.Connection(
            way.host.address,
            user=way.host.user,
            port=way.host.port,
            gateway=gateway,
            config=config,
            forward_agent=False,
        )
    except (SSHException, OSError, ValueError, KeyError) as error:
        raise HostError(
            f"{way.name}: the way to it cannot be made out ({error}); see `jump` and ~/.ssh/config"
        ) from error
    hops = [Hop(connection, jump=False)]
    while (above := hops[0].connection.gateway) and not isinstance(above, str):
        hops.insert(0, Hop(above, jump=True))
    for hop in hops:
        _make_strict(hop, way)
    return hops


def _no_jump(config: Any, address: str) -> bool | None:  # noqa: ANN401 (Fabric ships no types)
    """False where `~/.ssh/config` says `ProxyJump none`, which Fabric would take for a host's name; else None."""
    return False if str(config.base_ssh_config.lookup(address).get("proxyjump")).lower() == "none" else None


def _make_strict(hop: Hop, way: Way) -> None:
    """Replace what Fabric does by default: it takes unknown host keys, and tries keys in paramiko's order."""
    connection = hop.connection
    connection.client.set_missing_host_key_policy(Refuse())
    read_known_hosts(way.known_hosts, connection.client.get_host_keys())
    key = way.folder / Path(way.host.key).expanduser() if way.host.key else None
    connection.connect_kwargs = {"auth_strategy": Identities(connection.user, key, connection.ssh_config)}
