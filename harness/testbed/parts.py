"""What of a testbed is on the engine, by label; needs no saved state."""

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.models.networks import Network
from docker.models.volumes import Volume
from requests.exceptions import RequestException

from harness.errors import HostError
from harness.testbed.site import LABEL, LABEL_HOST, LABEL_INVENTORY, LABEL_TITLE, Site

AT_ONCE = 8


@dataclass(frozen=True)
class Parts:
    """Containers, volumes and networks that carry a testbed's label."""

    containers: list[Container]
    volumes: list[Volume]
    networks: list[Network]

    def addresses(self) -> dict[str, str]:
        """Of the hosts, by name; also of those that are stopped."""
        return dict(_address(container) for container in self.containers)

    def title(self) -> str:
        """What the hosts are."""
        return next((labels_of(network.attrs).get(LABEL_TITLE, "") for network in self.networks), "")

    def __bool__(self) -> bool:
        return bool(self.containers or self.volumes or self.networks)


def find_parts(client: docker.DockerClient, site: Site) -> Parts:
    """Whatever there is of this testbed, made well or half.

    Raises:
        HostError: it belongs to another checkout that still has its inventory, or the engine does not answer.
    """
    wanted: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={site.name}"}
    with engine_errors("look for the testbed"):
        parts = Parts(
            sorted(client.containers.list(all=True, filters=wanted), key=_number),
            client.volumes.list(filters=wanted),
            client.networks.list(filters=wanted),
        )
    for labels in _all_labels(parts):
        inventory = labels.get(LABEL_INVENTORY, "")
        if inventory != str(site.inventory) and inventory and Path(inventory).exists():
            raise HostError(
                f"a testbed called {site.name} is up for {inventory}; take that one down first, or give --name testbed-NAME"
            )
    return parts


def remove_parts(parts: Parts) -> None:
    """Take all of them away, whatever state they are in; what is gone already is well.

    Raises:
        HostError: the engine does not remove one.
    """
    with engine_errors("remove the testbed"):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(_remove_container, parts.containers))
            list(pool.map(_remove_volume, parts.volumes))
        for network in parts.networks:
            with contextlib.suppress(NotFound):
                network.remove()


def _address(container: Container) -> tuple[str, str]:
    networks: dict[str, Any] = container.attrs["NetworkSettings"]["Networks"]
    fixed = [(network.get("IPAMConfig") or {}).get("IPv4Address", "") for network in networks.values()]
    return labels_of(container.attrs).get(LABEL_HOST, str(container.name)), next(filter(None, fixed), "")


def _remove_container(container: Container) -> None:
    with contextlib.suppress(NotFound):
        container.remove(force=True, v=True)


def _remove_volume(volume: Volume) -> None:
    with contextlib.suppress(NotFound):
        volume.remove(force=True)


def _number(container: Container) -> int:
    digits = str(container.name).rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def _all_labels(parts: Parts) -> Iterator[Mapping[str, str]]:
    for part in (*parts.containers, *parts.volumes, *parts.networks):
        yield labels_of(part.attrs)


def labels_of(attrs: Mapping[str, Any]) -> Mapping[str, str]:
    """Labels of a container, volume or network as the engine describes it."""
    labels: Mapping[str, str] = attrs.get("Labels") or attrs.get("Config", {}).get("Labels") or {}
    return labels


@contextlib.contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """What the engine refuses, as one line.

    Raises:
        HostError: it refused, or does not answer.
    """
    try:
        yield
    except (DockerException, RequestException) as error:
        said = error.explanation if isinstance(error, APIError) and error.explanation else error
        raise HostError(f"testbed: the Docker engine here would not {what}: {said}") from None
