"""Where builds get their packages from: settings of the machine, from environment variables (docs/images.md).

They say how to fetch, not what: they enter no digest, and nothing of them stays visible in an image.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ImageError

CA_IN_CONTEXT = "base/ca-bundle.crt"
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Settings:
    """Certificates, proxies and mirrors."""

    base_image: str | None  # in place of images/base/base.toml's
    mirror: str | None  # of Debian's packages
    ca_bundle: Path | None  # certificates to trust, PEM
    proxies: Mapping[str, str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """As the environment variables say; an empty one counts as unset.

        Raises:
            ImageError: the certificate bundle cannot be read.
        """
        bundle = environment.get("CEILING_CA_BUNDLE")
        if bundle and not Path(bundle).is_file():
            raise ImageError(f"CEILING_CA_BUNDLE={bundle}: no such file; name a file of PEM certificates, or unset it")
        proxies = {name: environment.get(name) or environment.get(name.lower()) for name in PROXY_VARIABLES}
        return cls(
            base_image=environment.get("CEILING_BASE_IMAGE") or None,
            mirror=environment.get("CEILING_DEBIAN_MIRROR") or None,
            ca_bundle=Path(bundle).resolve() if bundle else None,
            proxies={name: value for name, value in proxies.items() if value},
        )

    def certificates(self) -> dict[str, bytes]:
        """Files of a build's context with what is to be trusted meanwhile; they enter no digest."""
        return {CA_IN_CONTEXT: self.ca_bundle.read_bytes()} if self.ca_bundle else {}

    def installing_arguments(self) -> dict[str, str]:
        """Of a build that installs Debian's packages."""
        return {"DEBIAN_MIRROR": self.mirror or "", **self.build_arguments()}

    def build_arguments(self) -> dict[str, str]:
        """The proxies in both spellings: Docker knows these names, and keeps them out of the image's history."""
        return {**self.proxies, **{name.lower(): value for name, value in self.proxies.items()}}
