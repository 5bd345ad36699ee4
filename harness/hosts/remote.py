"""What a host is, read from afar in one round trip by the same readers that read this one."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HostError
from harness.hosts.ask import ask
from harness.hosts.connection import Connection
from harness.hosts.facts import machine_facts
from harness.hosts.room import Room, room_of_this_host
from harness.hosts.settings import SYSCTLS, HostAudit, collect_settings
from harness.hosts.vantage import LIMITS, Vantage

DEADLINE_S = 20.0
BOOT_FILES = ("/proc/sys/kernel/random/boot_id", "/proc/1/stat")
ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

_SCRIPT = Path(__file__).with_name("snapshot.py")


@dataclass(frozen=True)
class Engine:
    """What Docker's own command said on a host."""

    status: int  # 127: it is not installed; 124: no answer in time
    out: str
    error: str
    free_bytes: int | None  # on the disk of its images


@dataclass(frozen=True)
class RemoteHost:
    """A host as its own readers would see it."""

    boot_id: str
    architecture: str  # in Docker's words: amd64, arm64; another machine's by its own name
    cpus: tuple[int, ...]  # that a process of the SSH user may use, in order
    audit: HostAudit
    room: Room
    facts: Mapping[
        str, Any
    ]  # as `environment.json` has them of this host: kernel, os, cpu, memory, cgroup, virtualisation
    engine: Engine | None  # none: it was not asked


def read_host(connection: Connection, *, engine: bool = False, timeout_s: float = DEADLINE_S) -> RemoteHost:
    """Read a host.

    Args:
        connection: to it.
        engine: ask its Docker, too.
        timeout_s: for all of it, connecting included.

    Raises:
        HostError: it cannot be reached, has no python3, or does not tell what every Linux tells.
    """
    words = [json.dumps(LIMITS), json.dumps(SYSCTLS), *(["engine"] if engine else [])]
    argv = ["python3", "-", *words]
    output = ask(connection, argv, timeout_s=timeout_s, stdin=_SCRIPT.read_bytes())
    try:
        return host_of(json.loads(output))
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(f"{connection.name}: it does not tell what a Linux host tells ({error!r})") from error


def host_of(told: Mapping[str, Any]) -> RemoteHost:
    """What the script's answer says.

    Raises:
        KeyError, TypeError, ValueError: it is not the script's.
    """
    vantage = Vantage(
        limits={name: (int(soft), int(hard)) for name, (soft, hard) in told["limits"].items()},
        as_root=bool(told["as_root"]),
        cpus=tuple(told["cpus"]),
        machine=str(told["machine"]),
        switch_interval_s=float(told["switch_interval_s"]),
    )
    files: Mapping[str, str] = told["files"]
    with tempfile.TemporaryDirectory(prefix="ceiling-host-") as folder:
        root = Path(folder)
        _lay_out(files, root)
        return RemoteHost(
            boot_id=_boot_of("".join(files.get(path, "") for path in BOOT_FILES)),
            architecture=ARCHITECTURES.get(vantage.machine.lower(), vantage.machine),
            cpus=vantage.cpus,
            audit=collect_settings(root, vantage),
            room=room_of_this_host(root, vantage),
            facts=machine_facts(root, vantage),
            engine=Engine(**{"free_bytes": None, **told["engine"]}) if told["engine"] else None,
        )


def boot_id(connection: Connection, timeout_s: float = DEADLINE_S) -> str:
    """What differs after every start of a host: the kernel's boot id, and when the first process started.

    A host that is a container has its kernel's boot id still after it was started again; its first process is another.

    Raises:
        HostError: it cannot be reached, or does not tell.
    """
    return _boot_of(ask(connection, ["cat", *BOOT_FILES], timeout_s=timeout_s))


def _boot_of(text: str) -> str:
    """Of both files, one after the other."""
    first, _, stat = text.partition("\n")
    fields = stat.rpartition(")")[2].split()
    return f"{first.strip()}/{fields[19]}" if len(fields) > 19 else first.strip()


def _lay_out(files: Mapping[str, str], root: Path) -> None:
    """Make a folder look like the host.

    Raises:
        ValueError: a path leads out of it.
    """
    for name, content in files.items():
        path = root / name.lstrip("/")
        if ".." in path.parts:
            raise ValueError(f"{name} leads elsewhere")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
