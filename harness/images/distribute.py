"""Images on many hosts: built once per architecture, shipped to the hosts that lack them, the same ids everywhere."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import docker
from docker.errors import APIError, ImageNotFound

from harness.errors import HarnessError, ImageError
from harness.images.build import ImageInfo, Say
from harness.images.ready import ready_images
from harness.images.shipping import Refused, ship
from harness.images.stage import ensure_images

NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}  # the kernel's, and the images'
TRIES = 2  # of sending: a lost connection may be a passing one
FULL_DISK = "no space left on device"

Images = Mapping[str, ImageInfo]
T = TypeVar("T")


@dataclass(frozen=True)
class Engine:
    """An engine that is to have the images."""

    client: docker.DockerClient
    architecture: str  # as images name it: amd64, arm64
    own: bool = False  # the controller's

    @classmethod
    def of(cls, host: str, client: docker.DockerClient, *, own: bool = False) -> "Engine":
        """Ask the engine what it is.

        Raises:
            ImageError: it does not answer.
        """
        architecture = str(_asked(host, lambda: client.info()["Architecture"]))
        return cls(client, NAMES.get(architecture, architecture), own)


def ensure_everywhere(
    engines: Mapping[str, Engine],
    images_dir: Path,
    folders: Sequence[str],
    ready: Iterable[str],
    state: Path,
    say: Say,
) -> dict[str, Images]:
    """The images of these folders and of the base, and ready ones, on every host; by host, then folder or reference.

    Each architecture has one builder: the controller's own engine, else the first host. What others lack is saved once
    and sent to all of them side by side; where nobody lacks any, nothing is said and nothing is sent.

    Args:
        engines: by host.
        images_dir: the folder of all images.
        folders: which of them.
        ready: references of images that are taken as they are.
        state: the output of builds is kept in its folder `build`.
        say: told what is built and sent.

    Raises:
        ImageError: an image does not build, is of another architecture, or a host could not get it: a line per host.
        SpecError: a model.yaml is wrong.
    """
    ready = sorted(set(ready))
    architectures = sorted({engine.architecture for engine in engines.values()})
    found: dict[str, Images] = {}
    for architecture in architectures:
        alike = {host: engine for host, engine in engines.items() if engine.architecture == architecture}
        logs = state / "build" / ("" if len(architectures) == 1 else architecture)
        builder = _builder(alike)
        images = _built(builder, alike[builder], images_dir, folders, ready, logs, say)
        _send(builder, {host: engine.client for host, engine in alike.items()}, images, say)
        there = {name: replace(image, built=False, seconds=0.0) for name, image in images.items()}
        found |= {host: images if host == builder else there for host in alike}
    return {host: found[host] for host in engines}


def _builder(alike: Mapping[str, Engine]) -> str:
    return next((host for host, engine in alike.items() if engine.own), next(iter(alike)))


def _built(
    host: str, engine: Engine, images_dir: Path, folders: Sequence[str], ready: Sequence[str], logs: Path, say: Say
) -> dict[str, ImageInfo]:
    def make() -> dict[str, ImageInfo]:
        made = ensure_images(engine.client, images_dir, folders, logs, say) if folders else {}
        return made | ready_images(engine.client, ready, say)

    images = _asked(host, make)
    for name, image in images.items():
        its = _asked(host, partial(_architecture, engine.client, image.id))
        if its != engine.architecture:
            raise ImageError(
                f"{host}: image {name} is of architecture {its}, the host's is {engine.architecture};"
                f" remove it there (`docker rmi {image.tag}`), and build or pull the right one"
            )
    return images


def _send(builder: str, clients: Mapping[str, docker.DockerClient], images: Images, say: Say) -> None:
    """Send what is lacking, and see that nothing is lacking after that."""
    failed: dict[str, Exception] = {}
    for _ in range(TRIES):
        lacking = _lacking(clients, images)
        if not lacking:
            return
        names = sorted({images[name].tag for lacks in lacking.values() for name in lacks})
        say(f"images: sending {len(names)} from {builder} to {', '.join(lacking)} …")
        targets = {host: clients[host] for host in lacking}
        failed = _asked(builder, partial(ship, clients[builder], names, targets, say))
        if not failed or any(isinstance(error, Refused) for error in failed.values()):
            break
    if failed:
        raise ImageError("\n".join(_line(host, error) for host, error in failed.items()))
    wrong = _lacking(clients, images)
    if wrong:
        raise ImageError("\n".join(_mismatch(host, clients[host], images, lacks) for host, lacks in wrong.items()))


def _lacking(clients: Mapping[str, docker.DockerClient], images: Images) -> dict[str, list[str]]:
    """Names of the images that a host does not have by id; by host, hosts that lack none left out."""

    def of(host: str) -> list[str]:
        return [name for name, image in images.items() if not _asked(host, partial(_has, clients[host], image.id))]

    with ThreadPoolExecutor(max(1, len(clients))) as pool:
        lacking = dict(zip(clients, pool.map(of, clients), strict=True))
    return {host: names for host, names in lacking.items() if names}


def _has(client: docker.DockerClient, reference: str) -> str | None:
    try:
        return str(client.images.get(reference).id)
    except ImageNotFound:
        return None


def _architecture(client: docker.DockerClient, image: str) -> str:
    return str(client.images.get(image).attrs.get("Architecture"))


def _mismatch(host: str, client: docker.DockerClient, images: Images, lacks: Sequence[str]) -> str:
    image = images[lacks[0]]
    its = _asked(host, lambda: _has(client, image.tag)) or "none"
    return (
        f"{host}: image {lacks[0]} should have id {image.id} after loading, {image.tag} there is {its};"
        " use the same kind of image store on all hosts"
    )


def _line(host: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    if FULL_DISK in said:
        return f"{host}: its disk is full ({FULL_DISK}) while loading images; make room there (`docker system df`)"
    if isinstance(error, Refused):
        return f"{host}: its engine does not load the images: {said}"
    return f"{host}: the connection was lost while images were sent: {_reason(host, error)}"


def _reason(host: str, error: Exception) -> str:
    """What a lost way says of itself, and what to do where it does not say that, too."""
    said = (" ".join(str(error).split()) or type(error).__name__).removeprefix(f"{host}: ")
    return said if "; " in said else f"{said}; see to its engine and network"


def _asked(host: str, ask: Callable[[], T]) -> T:
    """What an engine answers; what prevents it, as one line with the host's name."""
    try:
        return ask()
    except HarnessError:
        raise
    except APIError as error:
        raise ImageError(f"{host}: its engine answers: {error.explanation or error}") from None
    except Exception as error:  # noqa: BLE001 - the way to an engine is not known here, nor what it raises
        raise ImageError(f"{host}: its engine cannot be reached: {_reason(host, error)}") from None
