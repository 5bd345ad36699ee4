"""An authority of the test's own, and the server certificates that it signs: made by openssl, as a person would."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

CURVE = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder."""

    folder: Path

    @property
    def pem(self) -> Path:
        """Its certificate: what a client is to trust."""
        return self.folder / "ca.pem"

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        """Make one in a new folder."""
        folder.mkdir()
        _openssl(folder, "req", "-x509", "-newkey", *CURVE, "-days", "2", "-subj", "/CN=An authority of a test",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                 "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
        return cls(folder)

    def server(self, *names: str) -> ssl.SSLContext:
        """For a server with a certificate of these names, such as `IP:127.0.0.1`."""
        certificate, key = self.certificate(*names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def certificate(self, *names: str) -> tuple[Path, Path]:
        """A server's certificate and key."""
        (self.folder / "extensions").write_text(f"subjectAltName={','.join(names)}\n")
        _openssl(self.folder, "req", "-newkey", *CURVE, "-subj", "/CN=A server of a test", "-keyout", "server.key",
                 "-out", "server.csr")  # fmt: skip
        _openssl(self.folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                 "-days", "2", "-extfile", "extensions", "-out", "server.pem")  # fmt: skip
        return self.folder / "server.pem", self.folder / "server.key"


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)
