"""A bare host in a container: Debian with SSH, and no Docker."""

import io
import secrets
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
import paramiko
from docker.models.containers import Container

from harness.images.settings import Settings

# What an engine needs to start. Not `privileged`, which takes more than every machine has to give.
CAPABILITIES = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"]
OPEN = ["seccomp=unconfined", "apparmor=unconfined"]
SOMAXCONN = "128"  # low, so that there is something to raise


@dataclass(frozen=True)
class BareHost:
    """The host, seen from outside, and the key of its users."""

    container: Container
    key: paramiko.RSAKey

    @property
    def address(self) -> str:
        """Of its SSH."""
        self.container.reload()
        return str(self.container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])

    def sees(self, *argv: str) -> str:
        """What a command of its root says, without SSH."""
        _, output = self.container.exec_run(list(argv))
        assert isinstance(output, bytes)
        return output.decode().strip()

    def everything(self) -> str:
        """What preparing changes, as it stands."""
        names = "somaxconn", "../ipv4/tcp_max_syn_backlog", "../ipv4/ip_local_port_range"
        read = " ".join(f"/proc/sys/net/core/{name}" for name in names)
        files = "find /etc/sysctl.d /etc/security /etc/systemd /var/lib/ceiling -type f -exec md5sum {} + 2>/dev/null"
        return self.sees("sh", "-c", f"cat {read}; {files}; id ops; command -v dockerd")


def write_inventory(host: BareHost, folder: Path, user: str) -> Path:
    """An inventory with the host, reached as this user."""
    host.key.write_private_key_file(str(folder / "key"))
    kind, key = host.sees("cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2]
    (folder / "known_hosts").write_text(f"{host.address} {kind} {key}\n")
    path = folder / f"{user}.yaml"
    host_line = f"  bare-{user}: {{address: {host.address}, user: {user}, key: key}}"
    path.write_text(f"version: 1\ntitle: A bare host\nhosts:\n{host_line}\n")
    return path


@contextmanager
def bare_host(client: docker.DockerClient, image: str) -> Iterator[BareHost]:
    """A host that is gone afterwards, with its engine's folder."""
    settings = client.api.create_host_config(
        cap_add=CAPABILITIES, security_opt=OPEN, sysctls={"net.core.somaxconn": SOMAXCONN}
    )
    settings |= {"MaskedPaths": [], "ReadonlyPaths": []}  # its /proc/sys is its own to write
    name = f"test-bare-{secrets.token_hex(4)}"
    made = client.api.create_container(image, name=name, host_config=settings, volumes=["/var/lib/docker"])
    container = client.containers.get(made["Id"])
    try:
        container.start()
        host = BareHost(container, paramiko.RSAKey.generate(2048))
        _let_in(host)
        _use_packages_of_this_machine(host)
        yield host
    finally:
        container.remove(force=True, v=True)


def _let_in(host: BareHost) -> None:
    line = f"{host.key.get_name()} {host.key.get_base64()}\n".encode()
    for user, home in (("root", "root"), ("ops", "home/ops"), ("guest", "home/guest")):
        host.sees("install", "-d", "-m", "700", "-o", user, f"/{home}/.ssh")
        _put(host, f"{home}/.ssh/authorized_keys", line)
        host.sees("chown", user, f"/{home}/.ssh/authorized_keys")


def _use_packages_of_this_machine(host: BareHost) -> None:
    """The mirror, the certificates and the proxies that images are built with."""
    settings = Settings.from_environment()
    if settings.mirror:
        suite = host.sees("sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME")
        host.sees("sh", "-c", "rm -f /etc/apt/sources.list.d/*")
        _put(host, "etc/apt/sources.list", f"deb {settings.mirror} {suite} main\n".encode())
    lines = [
        f'Acquire::{name.removesuffix("_PROXY").lower()}::Proxy "{url}";' for name, url in settings.proxies.items()
    ]
    if settings.ca_bundle:
        _put(host, "etc/ssl/machine.crt", Path(settings.ca_bundle).read_bytes())
        lines.append('Acquire::https::CaInfo "/etc/ssl/machine.crt";')
    _put(host, "etc/apt/apt.conf.d/90machine", "\n".join([*lines, ""]).encode())


def _put(host: BareHost, path: str, data: bytes) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))
    host.container.put_archive("/", archive.getvalue())
