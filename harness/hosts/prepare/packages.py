"""The packages that a host lacks. Pure."""

from collections.abc import Iterator

from harness.hosts.prepare.look import HostState
from harness.hosts.prepare.record import PackagesChange
from harness.hosts.prepare.steps import Command, Step

ENGINE = ("docker.io", "containerd", "iptables")
CLI = "docker-cli"  # of Debian 13 and later; before, and on Ubuntu, it is part of docker.io
CLI_OF_ITS_OWN = frozenset({"trixie", "forky", "duke", "sid"})

UPDATE_S = 300.0
INSTALL_S = 900.0
CLOUD_INIT_S = 600.0

# A fresh machine updates itself: the lock of the lists knows no waiting, that of the packages does (DPkg::Lock::Timeout).
_UPDATE = 'for pause in 5 5 10 20 30 0; do apt-get "$@" update && exit 0; sleep $pause; done; exit 100'
_OPTIONS = ("-q", "-y", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0")
_QUIET = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1")


def missing(host: HostState) -> tuple[str, ...]:
    """Packages to install. An engine that is there, whatever its origin, is never touched."""
    names = [] if "python3" in host.commands else ["python3"]
    if host.engine is None and "dockerd" not in host.commands:
        names += ENGINE
    if "docker" not in host.commands and has_cli_package(host):
        names.append(CLI)
    return tuple(names)


def has_cli_package(host: HostState) -> bool:
    """Whether the command `docker` is a package of its own there."""
    return host.os.get("VERSION_CODENAME") in CLI_OF_ITS_OWN


def install_step(host: HostState) -> Iterator[Step]:
    """Install what is missing; nothing where all is there."""
    names = missing(host)
    if not names:
        return
    wait = Command(("cloud-init", "status", "--wait"), CLOUD_INIT_S)
    update = Command(
        (*_QUIET, "sh", "-c", _UPDATE, "sh", *_OPTIONS), UPDATE_S, says="apt-get update, again while it is locked"
    )
    # --no-remove: packages of other origins (containerd.io) conflict with these, and are the owner's to remove.
    install = (*_QUIET, "apt-get", *_OPTIONS, "install", "--no-install-recommends", "--no-remove", *names)
    yield Step(
        f"install {' '.join(names)}",
        "services run in containers, and the probe in Python" if "python3" in names else "services run in containers",
        (*((wait,) if host.cloud_init == "running" else ()), update, Command(install, INSTALL_S)),
        f"apt-get purge --autoremove {' '.join(names)} (told, not done)",
        PackagesChange(names=names),
    )
