"""What of ours is on an engine, by its labels, and how it goes. Needs no saved state."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

import docker
from docker.errors import NotFound

from harness.errors import HarnessError, RuntimeUnavailable
from harness.runtime.base import make_owner, owner_is_dead
from harness.runtime.docker.patience import FAILURES, reason
from harness.runtime.docker.removal import remove_container
from harness.runtime.docker.runtime import LABEL_OWNER, REMOVALS_AT_ONCE, WARDEN

LABEL_IMAGE = "ceiling.folder"
REPOSITORY = "ceiling/"  # an image that somebody built on one of ours inherits its labels, and has another name

Kind = Literal["container", "network", "volume", "image"]
KINDS: tuple[Kind, ...] = ("container", "network", "volume", "image")


@dataclass(frozen=True)
class Ours:
    """A thing of ours on an engine."""

    kind: Kind
    name: str
    names: tuple[str, ...]  # what it is removed by: an image may have several
    kept: str  # why it is left alone; nothing: it may go


def keeper(labels: Mapping[str, str], now_s: float) -> str:
    """Who may still need what carries these labels; nothing where nobody does.

    Whether a process of another machine lives cannot be seen from here: there the lease counts.

    Args:
        labels: of a container, a network or a volume.
        now_s: seconds since 1970.
    """
    if owner_is_dead(labels):
        return ""
    run, host, pid = (labels.get(f"ceiling.{key}") or "?" for key in ("run", "host", "pid"))
    complete = pid.isdigit() and labels.get("ceiling.pid-started")
    if complete and host == make_owner("").host:
        return f"run {run} is live (process {pid} of this machine)"
    deadline = labels.get("ceiling.deadline", "")
    if deadline.isdigit() and int(deadline) <= now_s:
        return ""
    lasts = f"its lease lasts {int(deadline) - now_s:.0f} s more" if deadline.isdigit() else "it has no lease"
    return f"run {run} of {host} may be live: {lasts}"


def find_ours(client: docker.DockerClient, *, images: bool, label: str = LABEL_OWNER) -> list[Ours]:
    """All of ours that is there, stopped containers included.

    Args:
        client: of the engine.
        images: whether to look for images, too.
        label: that containers, networks and volumes of ours carry; `ceiling.run=ID` names one run's.

    Raises:
        RuntimeUnavailable: the engine does not answer.
    """
    try:
        found = [*_containers(client, label), *_networks(client, label), *_volumes(client, label)]
        return found + (list(_images(client, any(entry.kept for entry in found))) if images else [])
    except FAILURES as error:
        raise RuntimeUnavailable(f"the Docker engine does not say what it has: {reason(error)}") from None


def remove_ours(client: docker.DockerClient, found: Sequence[Ours]) -> dict[str, str]:
    """Remove these, containers first, since they hold the rest; what is gone already is fine.

    Returns:
        What could not be removed: its name, and what the engine said.
    """
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(REMOVALS_AT_ONCE) as pool:
        for kind in KINDS:
            some = [entry for entry in found if entry.kind == kind]
            # Images one by one, the newest first: those that others are built on come after them.
            said = (
                map(_remove, [client] * len(some), some)
                if kind == "image"
                else pool.map(_remove, [client] * len(some), some)
            )
            failed |= {f"{kind} {entry.name}": why for entry, why in zip(some, said, strict=True) if why}
    return failed


def _remove(client: docker.DockerClient, ours: Ours) -> str:
    try:
        for name in ours.names:
            if ours.kind == "container":
                remove_container(client.containers.get(name))
            elif ours.kind == "network":
                client.networks.get(name).remove()
            elif ours.kind == "volume":
                client.volumes.get(name).remove()
            else:
                client.images.remove(name)
    except NotFound:
        return ""
    except FAILURES as error:
        return reason(error)
    except HarnessError as error:
        return str(error)
    return ""


def _containers(client: docker.DockerClient, label: str) -> Iterator[Ours]:
    """A warden that runs is proof that its run may go on, whatever the lease said when its containers were made."""
    found = client.containers.list(all=True, sparse=True, filters={"label": label})
    held = {_run(one.attrs["Labels"]) for one in found if _holds(one.attrs)}
    for container in found:
        names = container.attrs.get("Names") or [str(container.id)[:12]]
        labels = container.attrs["Labels"]
        ours = _ours("container", str(names[0]).removeprefix("/"), str(container.id), labels)
        if not ours.kept and _run(labels) in held:
            ours = replace(ours, kept=f"run {_run(labels)[0]} of {_run(labels)[1]} holds this host: its warden runs")
        yield ours


def _holds(attributes: Mapping[str, Any]) -> bool:
    labels = attributes["Labels"]
    return labels.get("ceiling.role") == WARDEN and attributes.get("State") == "running" and not owner_is_dead(labels)


def _run(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get(LABEL_OWNER, "?"), labels.get("ceiling.host", "?")


def _networks(client: docker.DockerClient, label: str) -> Iterator[Ours]:
    for network in client.networks.list(filters={"label": label}):
        yield _ours("network", str(network.name), str(network.id), network.attrs.get("Labels"))


def _volumes(client: docker.DockerClient, label: str) -> Iterator[Ours]:
    for volume in client.volumes.list(filters={"label": label}):
        yield _ours("volume", str(volume.name), str(volume.name), volume.attrs.get("Labels"))


def _ours(kind: Kind, name: str, removed_by: str, labels: Mapping[str, str] | None) -> Ours:
    return Ours(kind, name, (removed_by,), keeper(labels or {}, time.time()))


def _images(client: docker.DockerClient, live: bool) -> Iterator[Ours]:
    """A live run needs its images again at its next trial, in use at this moment or not."""
    kept = "a run that may be live needs it" if live else ""
    found: list[dict[str, Any]] = client.api.images(filters={"label": LABEL_IMAGE})
    for image in sorted(found, key=lambda entry: -int(entry["Created"])):
        tags = [tag for tag in image.get("RepoTags") or () if not tag.startswith("<none>")]
        own = tuple(tag for tag in tags if f"/{REPOSITORY}" in f"/{tag}")
        if own or not tags:
            yield Ours("image", (own or (image["Id"],))[0], own or (image["Id"],), kept)
