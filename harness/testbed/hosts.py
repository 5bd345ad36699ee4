"""The containers that are hosts: what each may do, and what is put into it before it starts.

They are not privileged. A host needs to mount, to make networks and to hand out cgroups, and these capabilities are all it
gets: a machine whose own engine lacks another one can still make it. What a container is otherwise kept from, so that the engine
inside can do it, is listed in `_settings`.
"""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import docker
from docker.types import EndpointConfig, LogConfig, NetworkingConfig

from harness.errors import HostError
from harness.testbed.keys import KeyPair
from harness.testbed.layout import TestHost
from harness.testbed.parts import labels_of
from harness.testbed.site import LABEL, LABEL_HOST, Site

CAPABILITIES = (
    *(
        "SYS_ADMIN",
        "NET_ADMIN",
        "NET_RAW",
        "MKNOD",
        "SYS_CHROOT",
        "SETFCAP",
        "AUDIT_WRITE",
    ),  # the engine, and what it starts
    *("SYS_PTRACE", "DAC_READ_SEARCH", "SYSLOG"),  # the probe, which looks at other containers
    *("SYS_NICE", "IPC_LOCK"),  # what a measured server may ask for
)
DATA = "/var/lib/docker"


@dataclass(frozen=True)
class Mould:
    """What all hosts of a testbed have in common."""

    site: Site
    image: str  # its id
    user: KeyPair  # the key that they let in


def make_host(client: docker.DockerClient, mould: Mould, host: TestHost, address: str, shown: KeyPair) -> None:
    """A host with its disk, started.

    Args:
        client: of the engine here.
        mould: what it has in common with the others.
        host: what it is.
        address: in the testbed's network.
        shown: key that it shows.

    Raises:
        HostError: its disk's name is taken by what is not ours.
    """
    name, network = mould.site.thing(host.name), mould.site.thing()
    _make_disk(client, mould.site, name)
    made = client.api.create_container(
        mould.image,
        name=name,
        hostname=host.name,
        labels=mould.site.labels() | {LABEL_HOST: host.name},
        volumes=[DATA],
        host_config=_settings(client, name, host) | {"NetworkMode": network},
        networking_config=NetworkingConfig({network: EndpointConfig(client.api.api_version, ipv4_address=address)}),  # type: ignore[arg-type] # the stub is wrong: it is by network
    )
    client.api.put_archive(made["Id"], "/", _files(mould.user, shown))
    client.api.start(made["Id"])


def _make_disk(client: docker.DockerClient, site: Site, name: str) -> None:
    """A volume for the host's engine: on the overlayfs of a container it could not keep layers of its own."""
    volume = client.volumes.create(name, labels=site.labels())  # one that is there is given as it is
    if labels_of(volume.attrs).get(LABEL) != site.name:
        raise HostError(f"testbed: a Docker volume {name} is there, and not ours; remove it: docker volume rm {name}")


def _settings(client: docker.DockerClient, volume: str, host: TestHost) -> dict[str, Any]:
    settings: dict[str, Any] = client.api.create_host_config(
        binds={volume: {"bind": DATA, "mode": "rw"}},
        cap_add=list(CAPABILITIES),
        security_opt=["seccomp=unconfined", "apparmor=unconfined", "label=disable"],
        device_cgroup_rules=["a *:* rwm"],  # else it could not hand devices to its own containers
        cgroupns="private",  # in cgroup v1, too: its containers' cgroups are then named as on a host of its own
        cpuset_cpus=",".join(map(str, host.cores)),
        tmpfs={"/run": "exec,mode=755", "/tmp": "exec,mode=1777"},  # noqa: S108 - empty at each boot, as they are
        restart_policy={"Name": "unless-stopped"},
        userns_mode="host",
        log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m", "max-file": "2"}),
    )
    return settings | {"MaskedPaths": [], "ReadonlyPaths": []}  # all of /proc, to mount and to write


def _files(user: KeyPair, shown: KeyPair) -> bytes:
    files: Mapping[str, bytes] = {
        "root/.ssh/authorized_keys": f"{user.public}\n".encode(),
        "etc/ssh/ssh_host_ed25519_key": shown.private,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo("root/.ssh")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(folder)
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o600
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
