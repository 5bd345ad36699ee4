"""Debian's packages in an image, with their exact versions: read from a container that is made of it and never started."""

import io
import tarfile

from docker.errors import NotFound
from docker.models.containers import Container

from harness.runtime.docker.patience import Reach

_STATUS = "/var/lib/dpkg/status"
_INSTALLED = "install ok installed"


def packages_of(container: Container, reach: Reach) -> dict[str, str]:
    """Version by package; none in an image that Debian's package manager has not been in.

    Args:
        container: of the image.
        reach: of the engine.

    Raises:
        Exception: one of `FAILURES`: the engine does not give the list.
    """

    def fetch() -> bytes:
        return b"".join(container.get_archive(_STATUS)[0])

    try:
        archive = reach.again(fetch)
    except NotFound:
        return {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        status = files.extractfile(files.getmembers()[0])
        return installed("" if status is None else status.read().decode(errors="replace"))


def installed(status: str) -> dict[str, str]:
    """Version by package of what dpkg's own list says is installed, sorted."""
    found = {}
    for paragraph in status.split("\n\n"):
        lines = (line.partition(": ") for line in paragraph.splitlines() if not line.startswith(" "))
        fields = {name: value for name, _, value in lines}
        if fields.get("Status") == _INSTALLED and "Version" in fields:
            found[fields.get("Package", "")] = fields["Version"]
    return dict(sorted(found.items()))
