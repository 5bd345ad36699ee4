"""Whom to trust over https: the same for the harness, which proves a server right, and for the load client."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.spec.foreign import Foreign, ReadyImage

# Where distributions keep the bundle that programs trust by default, beside the place that OpenSSL was built with.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")


@dataclass(frozen=True)
class Trust:
    """What is asked of a server's certificate."""

    authorities: str | None  # PEM; none: what the program finds on its system
    check: Literal["full", "chain", "none"]  # the chain and the host's name; the chain alone; nothing

    def context(self) -> ssl.SSLContext:
        """For connections that check just this."""
        context = ssl.create_default_context(cadata=self.authorities)
        context.check_hostname = self.check == "full"
        context.verify_mode = ssl.CERT_NONE if self.check == "none" else ssl.CERT_REQUIRED
        return context


def trust_in(server: Foreign, certificates: Mapping[str, str]) -> Trust | None:
    """What a spec asks of a server's certificate; None where it does not speak https.

    Without `ca` the system's authorities are those of this host, wherever the client runs: a container has none. A
    ready image is reached at an address that the harness chose and no certificate names: its chain alone is checked.

    Args:
        server: the server.
        certificates: what each `ca` file holds.
    """
    if not server.encrypted:
        return None
    if server.insecure:
        return Trust(None, "none")
    authorities = certificates[server.ca] if server.ca is not None else _of_this_system()
    return Trust(authorities, "chain" if isinstance(server, ReadyImage) else "full")


def _of_this_system() -> str | None:
    for path in (ssl.get_default_verify_paths().cafile, *_BUNDLES):
        if path is not None and Path(path).is_file():
            return Path(path).read_text("ascii", "ignore")
    return None
