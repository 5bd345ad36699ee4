"""Ready images: what somebody else built, taken as it is; from the engine, or from a registry where that lacks it."""

import time
from collections.abc import Iterable

import docker
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from harness.errors import ImageError
from harness.images.build import ImageInfo, Say
from harness.images.pull import pull


def ready_images(client: docker.DockerClient, references: Iterable[str], say: Say) -> dict[str, ImageInfo]:
    """These images, by reference. The digest of such an image is its id.

    Args:
        client: of the engine that is to have them.
        references: each with its tag or digest.
        say: told what is pulled.

    Raises:
        ImageError: the engine lacks one and cannot pull it, with what it said.
    """
    return {reference: _ready(client, reference, say) for reference in sorted(set(references))}


def _ready(client: docker.DockerClient, reference: str, say: Say) -> ImageInfo:
    began = time.monotonic()
    found = _find(client, reference)
    if found is None:
        say(f"image {reference}: pulling …")
        try:
            pull(client, reference)
        except ImageError as error:
            raise ImageError(
                f"image {reference}: the engine does not have it, and cannot pull it: {error}; check its name, or build or"
                f" load it there first (`docker build -t {reference} …`, `docker load`)"
            ) from None
        found = _find(client, reference)
    if found is None:
        raise ImageError(
            f"image {reference}: the engine pulled it, and does not have it; pull it by hand, and try again"
        )
    return ImageInfo(reference, reference, found, found.removeprefix("sha256:"), "", False, time.monotonic() - began)


def _find(client: docker.DockerClient, reference: str) -> str | None:
    """The id of an image, if the engine has it."""
    try:
        return str(client.images.get(reference).id)
    except ImageNotFound:
        return None
    except (DockerException, RequestException) as error:
        raise ImageError(f"image {reference}: the engine does not answer as it should: {error}") from None
