"""The image that all others start from: Debian with Python, uvloop and numpy from its own packages.

Debian itself comes from a registry where one answers within 10 s, else it is bootstrapped from the host's own
package mirror. Which of the two, and which image exactly, is written into the base's labels, and every image built
on it inherits them: runs made on different bases can be told apart.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import ImageNotFound
from docker.models.images import Image

from harness.errors import ImageError
from harness.images.bootstrap import bootstrap
from harness.images.build import LABEL_ROUTE, ImageInfo, Say, build_image, find_image
from harness.images.context import build_context
from harness.images.pull import pull
from harness.images.settings import Settings

BASE = "base"
PINS = "base.toml"


@dataclass(frozen=True)
class Root:
    """Debian as an image, before anything is installed."""

    id: str
    route: str


@dataclass(frozen=True)
class Pins:
    """What images/base/base.toml says."""

    image: str  # reference at a registry, by digest where one is given
    suite: str  # release of Debian


def read_pins(images_dir: Path) -> Pins:
    """Which Debian is meant.

    Raises:
        ImageError: the file is missing or not as it should be.
    """
    path = images_dir / BASE / PINS
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        name, tag, digest, suite = (str(table[key]) for key in ("repository", "tag", "digest", "suite"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ImageError(f"{path}: {error}") from None
    except KeyError as error:
        raise ImageError(f"{path}: no {error}; it needs repository, tag, digest and suite") from None
    return Pins(f"{name}@{digest}" if digest else f"{name}:{tag}", suite)


def ensure_base(
    client: docker.DockerClient, images_dir: Path, settings: Settings, log_dir: Path, say: Say
) -> ImageInfo:
    """The base image; made only when images/base/ has changed.

    Raises:
        ImageError: no registry answers and Debian cannot be bootstrapped, or the build fails.
    """
    pins = read_pins(images_dir)
    reference = settings.base_image or pins.image
    wanted = build_context(images_dir, BASE, reference)
    found = find_image(client, wanted)
    if found is not None:
        return found
    root = pull_root(client, reference, say) or bootstrap_root(client, pins.suite, settings, log_dir, say)
    say(f"image base: installing Python on Debian ({root.route}) …")
    built = build_image(
        client,
        wanted,
        log_dir / f"{BASE}.log",
        tar=build_context(images_dir, BASE, root.id, settings.certificates()).tar,
        labels={LABEL_ROUTE: root.route},
        arguments=settings.installing_arguments(),
    )
    say(f"image base: built in {built.seconds:.1f} s")
    return built


def pull_root(client: docker.DockerClient, reference: str, say: Say) -> Root | None:
    """Debian from a registry, or none where no registry answers in time; what the engine has already is not asked for."""
    found = _inspect(client, reference)
    if found is None:
        say(f"image base: asking the registry for {reference} …")
        try:
            pull(client, reference)
        except ImageError as error:
            say(f"image base: {error}")
            return None
        found = _inspect(client, reference)
    return None if found is None else Root(str(found.id), f"registry: {_by_digest(found, reference)}")


def _by_digest(image: Image, reference: str) -> str:
    """The name under which the registry serves this very image, for ever."""
    names: list[str] = image.attrs.get("RepoDigests") or [reference]
    return reference if reference in names else names[0]


def bootstrap_root(client: docker.DockerClient, suite: str, settings: Settings, log_dir: Path, say: Say) -> Root:
    """Debian made from the host's package mirror, or made so earlier.

    Raises:
        ImageError: mmdebstrap is missing or failed.
    """
    repository, tag = "ceiling/debian", f"{suite}-bootstrap"
    found = _inspect(client, f"{repository}:{tag}")
    if found is None:
        with bootstrap(suite, settings, log_dir / "bootstrap.log", say) as archive:
            client.api.import_image(str(archive), repository=repository, tag=tag, changes=['CMD ["bash"]'])
        found = _inspect(client, f"{repository}:{tag}")
    if found is None:
        raise ImageError("image base: the engine imported Debian, and does not have it; build again")
    return Root(str(found.id), f"bootstrap: {suite}")


def _inspect(client: docker.DockerClient, reference: str) -> Image | None:
    try:
        return client.images.get(reference)
    except ImageNotFound:
        return None
