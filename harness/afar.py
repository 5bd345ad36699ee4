"""The hosts of an inventory, made ready for a run and looked after while it goes on.

All of them are reached, checked, given the images and held for this run before its first trial; what one lacks is one line with
its name. Before and after each trial every host that takes part says which boot it is in and what its clock shows.
"""

import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import docker

from harness.errors import HostError
from harness.fleet import WARDEN, Fleet, Look, Site
from harness.hosts.checking import Checked, check_hosts
from harness.hosts.clock import measure_clock
from harness.hosts.remote import RemoteHost, boot_id
from harness.hosts.ssh import SshConnection, connect_all
from harness.images import ImageInfo
from harness.placement import Machine
from harness.ports import ports_of
from harness.runtime.base import Owner
from harness.runtime.docker import DockerRuntime
from harness.runtime.docker.over_ssh import connect_over
from harness.runtime.docker.warden import Warden, hold
from harness.spec.addresses import no_data_address
from harness.spec.cpu_list import cpus
from harness.spec.inventories import inventory_name, load_inventory
from harness.spec.inventory import Inventory, InventoryHost
from harness.timed_faults import left_over_trouble

PATIENCE_S = 30.0  # how long the way to a host may be lost before that is an error
AGAIN_S = 1.0
_T = TypeVar("_T")

Shipping = Callable[[Mapping[str, docker.DockerClient]], Mapping[str, Mapping[str, ImageInfo]]]
"""Sees to it that the engines of these hosts have every image, and says which they are, by host."""


@dataclass(frozen=True)
class Afar:
    """The hosts of an inventory as they were when the run began."""

    inventory: Inventory
    checked: Mapping[str, Checked]
    engines: Mapping[str, docker.DockerClient]
    connections: Mapping[str, SshConnection]
    wardens: dict[str, Warden] = field(default_factory=dict)  # of those that are held

    def remote(self, name: str) -> RemoteHost:
        """A host as it was read."""
        remote = self.checked[name].remote
        assert remote is not None  # noqa: S101 - a host that was not reached has ended the run
        return remote

    def look(self, names: Iterable[str], patience_s: float = 0.0) -> dict[str, Look]:
        """Which boot these hosts are in, and what their clocks show; all are asked at the same time.

        One that has started anew since is taken again. Each is asked a second time where the first came to nothing: a connection
        may have been lost under the question, and the host be well.

        Args:
            names: of the hosts.
            patience_s: how long one that is away, or whose engine is, is waited for.

        Raises:
            HostError: one of them stays away, or is not ours any more.
        """
        return _at_once(lambda name: self._look(name, patience_s), names)

    def _look(self, name: str, patience_s: float) -> Look:
        deadline_s = time.monotonic() + patience_s
        asked = 0
        while True:
            asked += 1
            try:
                look = Look(boot_id(self.connections[name]), measure_clock(self.connections[name]))
                self.engines[name].ping()
            except Exception as error:  # noqa: BLE001 - the SDK lets whatever requests and urllib3 raise through
                if asked > 1 and time.monotonic() > deadline_s:
                    raise HostError(f"{name}: the host is away: {_without(name, error)}") from None
                time.sleep(AGAIN_S)
            else:
                if name in self.wardens:
                    self.wardens[name].see_held()
                return look

    def facts(self) -> dict[str, Any]:
        """Of each host, for environment.json."""
        return {
            name: {
                "host": dict(self.remote(name).facts),
                "architecture": self.remote(name).architecture,
                "cpus": list(self.remote(name).cpus),
                "audit": self.remote(name).audit.model_dump(mode="json"),
                "engine": self.checked[name].engine_version,
            }
            for name in self.checked
        }


def reach_all(inventory: Path, experiments: Path, up: contextlib.ExitStack) -> Afar:
    """Connect to every host of an inventory, and see that it can be used.

    Args:
        inventory: its file.
        experiments: folder of the specs.
        up: closes the connections.

    Raises:
        SpecError: the inventory is wrong.
        HostError: a host is away, has another key than the known one, no Docker, a fault's rules left, …; a line for each.
    """
    loaded = load_inventory(inventory)
    connections = connect_all(loaded, inventory.parent, word=inventory_name(inventory, experiments))
    for connection in connections.values():
        up.callback(connection.close)
    checked = {one.name: one for one in check_hosts(connections, loaded.hosts, left_over_trouble)}
    if trouble := [line for one in checked.values() for line in one.trouble]:
        raise HostError("\n".join(trouble))
    engines = _at_once(lambda name: connect_over(connections[name].transport, name), connections)
    for engine in engines.values():
        up.callback(engine.close)
    return Afar(loaded, checked, engines, connections)


def hold_all(afar: Afar, shipping: Shipping, owner: Owner, up: contextlib.ExitStack) -> Fleet:
    """Give every host the images, and hold it for this run.

    Args:
        afar: the hosts.
        shipping: brings the images there.
        owner: of all that is started.
        up: lets go of the hosts.

    Raises:
        ImageError: an image is not built, or does not come to a host.
        HostError: somebody else holds one of them, or it has no address that the others could reach.
        RuntimeUnavailable: an engine does not do what it is asked.
    """
    hosts = afar.inventory.hosts
    addresses = {name: data_address(name, host, afar.connections[name]) for name, host in hosts.items()}
    images = shipping(afar.engines)
    lock = up.enter_context(contextlib.ExitStack())

    def held(name: str) -> Site:
        engine, image, connection = afar.engines[name], images[name][WARDEN].id, afar.connections[name]
        warden = hold(engine, image, owner, name, patience_s=PATIENCE_S, boot=lambda: boot_id(connection))
        lock.callback(warden.release)
        afar.wardens[name] = warden
        return _site(afar, name, addresses[name], images[name], owner)

    return _at_once(held, hosts)


def data_address(name: str, host: InventoryHost, connection: SshConnection) -> str:
    """The IP address at which the other hosts reach a host's services.

    Raises:
        HostError: the inventory names none, and SSH's has none.
    """
    if host.data is not None:
        return host.data
    try:
        found = socket.getaddrinfo(connection.address, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise HostError(
            f"{name}: {connection.address} has no address here ({error}); name the one that the other hosts reach as `data`"
        ) from None
    address = str(found[0][4][0])
    if wrong := no_data_address(address):
        raise HostError(f"{name}: {address} is {wrong[0]}; name the address that the other hosts reach as `data`")
    if ipaddress.ip_address(address).is_loopback:
        raise HostError(
            f"{name}: {address} is reached from nowhere else; name the address that the others reach as `data`"
        )
    return address


def _site(afar: Afar, name: str, address: str, images: Mapping[str, ImageInfo], owner: Owner) -> Site:
    host, remote = afar.inventory.hosts[name], afar.remote(name)
    runtime = DockerRuntime(afar.engines[name], images, owner, host=name, address=address, patience_s=PATIENCE_S)
    machine = Machine(
        name,
        cpus(host.cores) if host.cores else remote.cpus,
        remote.room,
        host.roles,
        tuple(map(tuple, remote.audit.siblings)),
    )
    clock = afar.checked[name].clock
    assert clock is not None  # noqa: S101 - measured with the check
    connection = afar.connections[name]
    ports = ports_of(connection, address)
    return Site(machine, runtime, clock, address, ports, connection, host.power, shares=host.machine or "")


def _without(name: str, error: Exception) -> str:
    """What went wrong, for a sentence that has named the host."""
    return str(error).removeprefix(f"{name}: ")


def _at_once(do: Callable[[str], _T], names: Iterable[str]) -> dict[str, _T]:
    """Something for each host, all at the same time, by name; the first error is raised when all have ended."""
    asked = list(names)
    with ThreadPoolExecutor(max(len(asked), 1)) as pool:
        return dict(zip(asked, pool.map(do, asked), strict=True))
