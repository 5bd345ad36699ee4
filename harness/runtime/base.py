"""How a service runs on a host: the interface that deploy and measure know.

A service reads one JSON configuration (`config.json`), may be given further files while it runs, prints lines,
takes signals, and leaves its results under `/out`. Docker and plain processes do this alike, so nothing above
this line knows which of them it talks to. Every wait takes a deadline.
"""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any, Literal, Protocol

from harness.spec.foreign import ReadyImage

Role = Literal["server", "balancer", "backend", "client", "probe", "tool"]


@dataclass(frozen=True)
class ServiceSpec:
    """What is to run."""

    name: str  # unique within the run; part of the container's or folder's name
    role: Role
    image: str  # folder of images/, or the reference of a ready image
    config: Mapping[str, Any]  # becomes config.json
    cores: Sequence[int]  # CPUs it is pinned to
    memory_bytes: int | None = None
    network: Literal["host", "bridge"] = "host"
    open_files: int | None = None
    command: Sequence[str] = ()  # arguments to Python instead of the image's own entry
    port: int | None = None  # what it listens on, in the container
    ready: ReadyImage | None = None  # a ready image, run as it is, with nothing put in; Docker only


class Service(Protocol):
    """A service that has been started."""

    spec: ServiceSpec

    @property
    def address(self) -> str:
        """IP address at which the client reaches its ports."""

    @property
    def main_pid(self) -> int:
        """Process id of its first process, in the host's PID namespace."""

    def running(self) -> bool:
        """Whether its main process is still there."""

    def put(self, name: str, data: bytes) -> None:
        """Hand it a further file, next to its configuration; the file appears whole or not at all."""

    def fetch(self, name: str) -> bytes:
        """Read a file it left under /out.

        Raises:
            FileNotFoundError: there is none of that name.
        """

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Its lines of standard output as they come, until it ends.

        Each line is handed out once: a later call goes on where the one before stopped.

        Raises:
            DeployError: nothing came for `timeout_s`.
        """

    def signal(self, signal: Signals) -> None:
        """Send a signal to its main process."""

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and return the exit status (negative signal number when one killed it).

        Raises:
            DeployError: it did not end within `timeout_s`.
        """

    def logs(self) -> str:
        """The last of its output, standard output and error, at most 64 KiB."""

    def remove(self) -> None:
        """Kill what is left of it and remove its container or folder. Never raises for what is already gone."""

    def freeze(self) -> None:
        """Stop all of its processes where they stand; nothing happens where it has ended.

        Raises:
            DeployError: it could not be done.
        """

    def thaw(self) -> None:
        """Let them go on; nothing happens where it is not frozen.

        Raises:
            DeployError: it could not be done.
        """

    def kill(self) -> None:
        """Kill all of its processes at once, as a crash would; what it has written so far stays.

        Raises:
            DeployError: it could not be done.
        """

    def start_again(self) -> None:
        """Start it anew after its end, with the same configuration, in the same place and under the same limits.

        Its first process is another one then.

        Raises:
            DeployError: it could not be started, or is still running.
        """


class Runtime(Protocol):
    """Starts services on one host, and cleans up after itself and after dead owners."""

    @property
    def name(self) -> Literal["docker", "process"]:
        """Which of them it is."""

    def start(self, spec: ServiceSpec) -> Service:
        """Create, configure and start a service.

        Raises:
            DeployError: it could not be started; with the last output.
        """

    def clean(self) -> int:
        """Remove whatever this run owns, and what runs whose owner is dead left behind; return how many.

        Never touches what a live run owns.
        """

    def facts(self) -> Mapping[str, Any]:
        """Of the engine and the images, for environment.json."""


@dataclass(frozen=True)
class Owner:
    """Who owns what a run creates; written into labels, checked before anything is removed."""

    run: str  # run id
    host: str
    boot_id: str
    pid: int
    pid_started: str  # start time of the process (clock ticks since boot): ids are reused, this is not

    def labels(self) -> dict[str, str]:
        """As container labels."""
        return {
            "ceiling.run": self.run,
            "ceiling.host": self.host,
            "ceiling.boot": self.boot_id,
            "ceiling.pid": str(self.pid),
            "ceiling.pid-started": self.pid_started,
        }

    def may_remove(self, labels: Mapping[str, str]) -> bool:
        """Whether what carries these labels is this owner's own, or was left behind by a dead one."""
        own = self.labels()
        return all(labels.get(key) == value for key, value in own.items()) or owner_is_dead(labels)


_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO: the same number on every kernel


def make_owner(run: str) -> Owner:
    """This process as the owner of a run."""
    pid = os.getpid()
    return Owner(run, _this_host(), _boot_id(), pid, _started(pid) or "")


def owner_is_dead(labels: Mapping[str, str]) -> bool:
    """Whether the owner that these labels name is known to be gone.

    Only its own host can tell: labels of another host, or incomplete ones, are never called dead.
    """
    if labels.get("ceiling.host") != _this_host() or not labels.get("ceiling.boot"):
        return False
    if labels["ceiling.boot"] != _boot_id():
        return True
    pid, started = labels.get("ceiling.pid", ""), labels.get("ceiling.pid-started")
    return pid.isdigit() and bool(started) and _started(int(pid)) != started


def _this_host() -> str:
    """Name of the host, and of the PID namespace within it: ids of another namespace mean nothing here."""
    namespace = str(Path("/proc/self/ns/pid").readlink())
    return platform.node() if namespace == _INITIAL_PID_NAMESPACE else f"{platform.node()}/{namespace}"


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _started(pid: int) -> str | None:
    """Start time of a live process in clock ticks since boot; none where it is gone or a zombie."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return None if state in "ZX" else fields[18]
