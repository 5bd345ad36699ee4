"""Who holds a host: read from the warden that is there, and taken over where nobody does any more."""

import time
from functools import partial

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from harness.errors import HostError
from harness.runtime.base import Owner, owner_is_dead
from harness.runtime.docker.patience import Reach
from harness.runtime.docker.removal import remove_container

STARTING_S = 5.0  # between the creation of a warden and its start
PAUSE_S = 0.2
FIRST = ("client", "balancer")  # what makes load goes before what bears it
OWNER = ("ceiling.run", "ceiling.host", "ceiling.boot", "ceiling.pid", "ceiling.pid-started")


def clear_or_refuse(client: docker.DockerClient, name: str, owner: Owner, reach: Reach) -> None:
    """Remove a warden that guards nothing any more, after what its run has left; one that does is respected.

    Args:
        client: of the host's engine.
        name: of the warden.
        owner: who wants the host.
        reach: of the engine.

    Raises:
        HostError: who holds the host.
        Exception: one of `FAILURES`.
    """
    try:
        warden = _settled(client, name, reach)
    except NotFound:
        return
    labels = warden.labels
    if not labels.get("ceiling.run"):
        raise HostError(f"{reach.host}: a container named {name} is in the way and none of ours; remove it there")
    own = owner.labels().items() <= labels.items()
    if not own and warden.status == "running" and not owner_is_dead(labels):
        raise HostError(_held(warden, str(reach.host)))
    for container in [] if own else _left_by(client, warden, reach):
        remove_container(container, reach)
    remove_container(warden, reach)


def _settled(client: docker.DockerClient, name: str, reach: Reach) -> Container:
    """The warden of that name, once it is more than created, or has stayed that for too long.

    Raises:
        NotFound: it is gone.
    """
    until = time.monotonic() + STARTING_S
    while True:
        warden = reach.again(lambda: client.containers.get(name))
        starting = warden.status == "created" and "ceiling.run" in warden.labels and not owner_is_dead(warden.labels)
        if not starting or time.monotonic() >= until:
            return warden
        time.sleep(PAUSE_S)


def _left_by(client: docker.DockerClient, warden: Container, reach: Reach) -> list[Container]:
    """The other containers of a warden's owner, what makes load first."""
    labels = [f"{key}={warden.labels.get(key, '')}" for key in OWNER]
    found = reach.again(partial(client.containers.list, all=True, sparse=True, filters={"label": labels}))
    others = [container for container in found if container.id != warden.id]
    return sorted(others, key=lambda container: container.attrs["Labels"].get("ceiling.role") not in FIRST)


def _held(warden: Container, host: str) -> str:
    run, controller, pid = (warden.labels.get(f"ceiling.{key}", "?") for key in ("run", "host", "pid"))
    since = str(warden.attrs["State"]["StartedAt"])[: len("2006-01-02T15:04:05")].replace("T", " ")
    return (
        f"host {host} is held by run {run} of controller {controller} (process {pid}) since {since} UTC;"
        " wait for it, or `harness clean INVENTORY --all` if it is gone"
    )
