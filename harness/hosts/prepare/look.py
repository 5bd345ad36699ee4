"""A host as `prepare` finds it, in one round trip."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.errors import HostError
from harness.hosts.connection import Connection, Done
from harness.hosts.prepare import record
from harness.hosts.prepare.targets import FILES, OPEN_FILES, SYSCTLS

LOOK_DEADLINE_S = 60.0
_SCRIPT = Path(__file__).with_name("look.sh")
_NO_ROOT = re.compile(r"sudo|password|not allowed|not permitted", re.IGNORECASE)

Init = Literal["systemd", "service", "none"]


@dataclass(frozen=True)
class Sysctl:
    """A setting of the kernel."""

    value: tuple[int, ...]
    writable: bool

    @property
    def text(self) -> str:
        """As the kernel writes it."""
        return " ".join(map(str, self.value))


@dataclass(frozen=True)
class HostState:
    """What there is on a host."""

    name: str
    user: str
    groups: tuple[str, ...]
    os: Mapping[str, str]  # ID, ID_LIKE, VERSION_ID, VERSION_CODENAME, PRETTY_NAME of os-release
    init: Init
    container: bool  # the host shares its kernel with others
    commands: frozenset[str]  # of python3, docker, dockerd, apt-get
    engine: str | None  # version of the engine that answers
    running: int  # containers
    units: Mapping[str, str]  # of docker and containerd those that systemd knows: enabled, disabled, …
    limits: Mapping[str, int | None]  # hard limit of open files of dockerd, containerd, session; None: no limit
    raises_open_files: bool  # root may raise that limit
    cloud_init: str | None
    sysctls: Mapping[str, Sysctl] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # those of ours that are there

    @property
    def prepared(self) -> record.Prepared:
        """What was changed here before.

        Raises:
            HostError: the record cannot be read.
        """
        return record.read_record(self.name, self.files.get(record.PATH))


def look(connection: Connection) -> HostState:
    """Look at a host.

    Raises:
        HostError: it cannot be reached, the user is not root and may not become root, or it does not answer as a host does.
    """
    asked = [f"sysctl:{name}" for name in SYSCTLS]
    asked += [f"file:{path}" for path in (*FILES, record.PATH)] + [f"nofile:{OPEN_FILES}"]
    argv = ["sh", "-s", "--", *asked]
    done = connection.run(argv, timeout_s=LOOK_DEADLINE_S, stdin=_SCRIPT.read_bytes(), as_root=True)
    return state_of(connection.name, done)


def state_of(name: str, done: Done) -> HostState:
    """What the script said of a host. Pure.

    Raises:
        HostError: it did not come to its end.
    """
    lines = [line.partition(" ")[::2] for line in done.stdout.splitlines()]
    said = dict(lines)
    if "looked" not in said:
        raise HostError(_refusal(name, done))
    commands = frozenset(value for key, value in lines if key == "command")
    limits = {key.removeprefix("limit."): _limit(value) for key, value in lines if key.startswith("limit.")}
    return HostState(
        name=name,
        user=said["user"],
        groups=tuple(said.get("groups", "").split()),
        os={key.removeprefix("os."): value for key, value in lines if key.startswith("os.")},
        init=_init(said["init"]),
        container="container" in said,
        commands=commands,
        engine=said.get("engine"),
        running=int(said.get("running", "0")),
        units={key.removeprefix("unit."): value for key, value in lines if key.startswith("unit.")},
        limits=limits,
        raises_open_files="raises" in said,
        cloud_init=said.get("cloud-init"),
        sysctls=dict(_sysctl(value) for key, value in lines if key == "sysctl"),
        files=dict(_file(value) for key, value in lines if key == "file"),
    )


def _refusal(name: str, done: Done) -> str:
    last = next((line for line in reversed((done.stderr or done.stdout).splitlines()) if line.strip()), "no output")
    if _NO_ROOT.search(last):
        return (
            f"{name}: preparing takes root, and the SSH user may not become it without a password ({last.strip()});"
            " set `user: root`, or allow `sudo -n` (a line `USER ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d)"
        )
    return f"{name}: looking at the host ended with status {done.status}: {last.strip()}; see what `ssh` to it says"


def _init(text: str) -> Init:
    return "systemd" if text == "systemd" else "service" if text == "service" else "none"


def _limit(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _sysctl(text: str) -> tuple[str, Sysctl]:
    name, mode, *value = text.split()
    return name, Sysctl(tuple(map(int, value)), writable=mode == "rw")


def _file(text: str) -> tuple[str, str]:
    path, _, content = text.partition(" ")
    return path, base64.b64decode(content).decode(errors="replace")
