"""`up` and `down`: a testbed is there whole, with its inventory, or not at all."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from harness.errors import HostError, SpecError
from harness.hosts.cores import available_cores
from harness.hosts.cpu import siblings
from harness.interrupt import Interruptible
from harness.testbed.hosts import Mould, make_host
from harness.testbed.image import ensure_image
from harness.testbed.inventory import inventory_of, write_inventory
from harness.testbed.keys import make_key, remove_keys, write_keys
from harness.testbed.layout import Layout, lay_out
from harness.testbed.parts import AT_ONCE, Parts, engine_errors, find_parts, remove_parts
from harness.testbed.ready import wait_until_ready
from harness.testbed.site import LABEL_TITLE, Site, locked
from harness.testbed.steps import Say, step
from harness.testbed.subnet import make_network

READY_DEADLINE_S = 60.0


@dataclass(frozen=True)
class Up:
    """A testbed that is up."""

    inventory: Path
    title: str
    containers: tuple[str, ...]  # by host, in their order
    made: bool  # by this call


@dataclass(frozen=True)
class Workshop:
    """Folders that the making needs."""

    images: Path  # of measured images, for the base
    state: Path  # of the harness's own working files


def up(client: docker.DockerClient, site: Site, hosts: int, places: Workshop, say: Say) -> Up:
    """Make a testbed, or find it up already and well.

    Whatever goes wrong takes back all that was made. What a killed `up` left is removed first.

    Args:
        client: of the engine here.
        site: its name and its files.
        hosts: how many.
        places: folders that the making needs.
        say: told each step.

    Raises:
        SpecError: one is up with another number of hosts, or the number is not to be had.
        HostError: the machine cannot do it; what, and what to do.
        ImageError: the image of the hosts cannot be built.
    """
    layout = lay_out(hosts, available_cores(), siblings(Path("/")))
    site.require_own_inventory()
    with Interruptible("stopping: what was made is removed"), locked(places.state):
        require_fit(client)
        parts = find_parts(client, site)
        if site.inventory.exists() and parts.containers and parts.networks:
            return _found(site, parts, hosts, say)
        if parts or site.inventory.exists():
            with step(say, "what an unfinished one left is removed"):
                _clear(client, site)
        with _all_or_nothing(client, site, say):
            return _make(client, site, layout, places, say)


def down(client: docker.DockerClient, site: Site, state: Path, say: Say) -> bool:
    """Remove all of a testbed: hosts, disks, network, inventory, keys. False: there was nothing.

    Raises:
        HostError: the engine does not remove something, or the testbed is another checkout's.
        SpecError: the inventory at its place is not a testbed's.
    """
    site.require_own_inventory()
    with Interruptible("stopping after this"), locked(state):
        parts = find_parts(client, site)
        if not parts and not site.inventory.exists() and not site.keys.exists():
            return False
        with step(say, f"{_counted(len(parts.containers), 'host')} of {site.name} removed"):
            _clear(client, site)
    return True


def require_fit(client: docker.DockerClient) -> None:
    """An engine that may give a container the capabilities of a host.

    Raises:
        HostError: it may not; what to do.
    """
    with engine_errors("say what it is"):
        options = client.info().get("SecurityOptions") or []
    if any(option.startswith("name=rootless") for option in options):
        raise HostError(
            "testbed: the Docker engine here runs without root, and cannot make hosts with engines of their own; "
            "point DOCKER_HOST at one that runs as root, such as unix:///var/run/docker.sock"
        )


def last_words(client: docker.DockerClient, site: Site) -> list[str]:
    """The end of what each host of a failed testbed wrote, for the error."""
    said = []
    with contextlib.suppress(HostError), engine_errors("show the hosts' output"):
        for container in find_parts(client, site).containers:
            lines = container.logs(tail=3).decode("utf-8", "replace").splitlines()
            said += [f"    {container.name}: {line}" for line in lines]
    return said


def _found(site: Site, parts: Parts, hosts: int, say: Say) -> Up:
    there = _counted(len(parts.containers), "host")
    if len(parts.containers) != hosts:
        raise SpecError([f"--hosts {hosts}: {site.name} is up with {there}; take it down first (make testbed-down)"])
    with step(say, f"{site.name} is up already: {there}"), engine_errors("start its hosts again"):
        for container in parts.containers:
            _bring_back(container, say)
        wait_until_ready(parts.addresses(), site.keys, READY_DEADLINE_S)
    names = tuple(str(container.name) for container in parts.containers)
    return Up(site.inventory, parts.title(), names, made=False)


def _bring_back(container: Container, say: Say) -> None:
    """A host that was killed or frozen, and left so."""
    if container.status == "paused":
        say(f"{container.name} was frozen; it goes on")
        container.unpause()
    elif container.status != "running":
        say(f"{container.name} was down; it starts")
        container.start()


def _make(client: docker.DockerClient, site: Site, layout: Layout, places: Workshop, say: Say) -> Up:
    with step(say, "image of the hosts"):
        image = ensure_image(client, places.images, places.state / "build", say)
    with step(say, "network and keys"), engine_errors("make a network"):
        network = make_network(client, site.thing(), site.labels() | {LABEL_TITLE: layout.title})
        addresses = layout.addresses(network)
        mould, shown = Mould(site, image.id, make_key()), {name: make_key() for name in addresses}
        write_keys(site.keys, mould.user, {addresses[name]: key for name, key in shown.items()})
    with step(say, f"{_counted(len(addresses), 'host')} made"), engine_errors("make a host"):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            making = [
                pool.submit(make_host, client, mould, host, addresses[host.name], shown[host.name])
                for host in layout.hosts
            ]
        for made in making:
            made.result()
    with step(say, "every host answers: SSH, Docker"):
        wait_until_ready(addresses, site.keys, READY_DEADLINE_S)
    write_inventory(site, inventory_of(site, layout, addresses))
    return Up(site.inventory, layout.title, tuple(site.thing(name) for name in addresses), made=True)


@contextlib.contextmanager
def _all_or_nothing(client: docker.DockerClient, site: Site, say: Say) -> Iterator[None]:
    """Whatever ends the making early takes everything back, with what the hosts said last."""
    try:
        yield
    except HostError as error:
        said = last_words(client, site)
        with step(say, "what was made is removed"):
            _clear(client, site)
        raise HostError("\n".join([str(error), *said])) from None
    except BaseException:
        with step(say, "what was made is removed"):
            _clear(client, site)
        raise


def _clear(client: docker.DockerClient, site: Site) -> None:
    """The inventory goes last: as long as it is there, whose the rest is can be told."""
    remove_parts(find_parts(client, site))
    remove_keys(site.keys)
    site.inventory.unlink(missing_ok=True)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
