"""The image of a test host: the base, with sshd and a Docker engine."""

from pathlib import Path

import docker

from harness.images.base import BASE, ensure_base
from harness.images.build import ImageInfo, Say, build_image, find_image
from harness.images.context import build_context
from harness.images.settings import Settings

FOLDER = "testhost"
OWN_IMAGES = Path(__file__).parent / "images"
INSTALLER = "base/install.sh"


def ensure_image(client: docker.DockerClient, images_dir: Path, log_dir: Path, say: Say) -> ImageInfo:
    """The image that test hosts run; built where its content or the base is new.

    Its packages come from where the base's do: the same mirror, certificates and proxies.

    Args:
        client: of the engine that is to have it.
        images_dir: the folder of measured images, for the base.
        log_dir: where the output of a build is kept.
        say: told what is being built.

    Raises:
        ImageError: it cannot be built.
    """
    settings = Settings.from_environment()
    base = ensure_base(client, images_dir, settings, log_dir, say)
    installer = {INSTALLER: (images_dir / BASE / "install.sh").read_bytes()}
    wanted = build_context(OWN_IMAGES, FOLDER, base.id, installer)
    found = find_image(client, wanted)
    if found is not None:
        return found
    say("image of the test hosts: installing sshd and Docker (apt-get), once …")
    return build_image(
        client,
        wanted,
        log_dir / f"{FOLDER}.log",
        tar=build_context(OWN_IMAGES, FOLDER, base.id, installer | settings.certificates()).tar,
        arguments=settings.installing_arguments(),
    )
