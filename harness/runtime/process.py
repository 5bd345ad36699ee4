"""Services as plain local processes: the runtime where there is no Docker."""

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Any, Literal

from harness.errors import DeployError, RuntimeUnavailable
from harness.runtime.base import Owner, ServiceSpec
from harness.runtime.follow import Follower
from harness.runtime.launch import Launch, launch
from harness.runtime.leftovers import MARK
from harness.runtime.workplace import discard_folder, make_folder, removable_folders
from harness.spec.catalogue import load_model

KILL_DEADLINE_S = 5.0
LOG_BYTES = 1 << 16
DEFAULT_ENTRY = ("main.py",)  # of folders without a model.yaml: client and probe


class ProcessService:
    """A service that runs as a process of this host."""

    def __init__(self, spec: ServiceSpec, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.spec = spec
        self._folder = folder
        self._process = process
        self._output = Follower(folder / "stdout", process.pid)

    @property
    def address(self) -> str:
        """Where the client reaches it: the loopback address."""
        return "127.0.0.1"

    @property
    def main_pid(self) -> int:
        """Process id of its first process."""
        return self._process.pid

    def running(self) -> bool:
        """Whether its main process is still there."""
        return self._process.poll() is None

    def put(self, name: str, data: bytes) -> None:
        """Hand it a further file, next to its configuration; the file appears whole or not at all."""
        target = self._folder / "ceiling" / _plain(name)
        temporary = target.with_name(f".{name}.tmp")
        temporary.write_bytes(data)
        temporary.replace(target)

    def fetch(self, name: str) -> bytes:
        """Read a file it left in its `out/`.

        Raises:
            FileNotFoundError: there is none of that name.
        """
        return (self._folder / "ceiling" / "out" / _plain(name)).read_bytes()

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Its lines of standard output as they come, until it ends. Each line is handed out once.

        Raises:
            DeployError: nothing came for `timeout_s`.
        """
        try:
            yield from self._output.lines(timeout_s, self.running)
        except TimeoutError:
            raise DeployError(
                f"{self.spec.name}: no line of output for {timeout_s:g} s; its last output:\n{self.logs()}"
            ) from None

    def signal(self, signal: Signals) -> None:
        """Send a signal to its main process; nothing happens where that has ended."""
        self._process.send_signal(signal)

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and return the exit status (negative signal number when one killed it).

        Raises:
            DeployError: it did not end within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while (status := self._process.poll()) is None:
            if time.monotonic() > deadline:
                raise DeployError(
                    f"{self.spec.name}: still running after {timeout_s:g} s; its last output:\n{self.logs()}"
                )
            time.sleep(0.002)
        return status

    def logs(self) -> str:
        """The last of its output, standard output and then standard error, 32 KiB of each."""
        return "".join(_tail(self._folder / name, LOG_BYTES // 2) for name in ("stdout", "stderr"))

    def remove(self) -> None:
        """Kill what is left of it, descendants too, and remove its folder.

        Raises:
            HostError: some process did not die within 5 s.
        """
        self._process.kill()
        discard_folder(self._folder)
        self._process.wait(KILL_DEADLINE_S)


class ProcessRuntime:
    """Starts services as processes of this host.

    Args:
        owner: who owns what is started here.
        images_dir: the checkout's `images/`.
        workplace: folder for the services' folders; the same for all runs, so that each finds what others left.
    """

    name: Literal["docker", "process"] = "process"

    def __init__(self, owner: Owner, images_dir: Path, workplace: Path) -> None:
        self._owner = owner
        self._images_dir = images_dir.resolve()
        self._workplace = workplace.resolve()

    def start(self, spec: ServiceSpec) -> ProcessService:
        """Configure and start a service.

        Raises:
            RuntimeUnavailable: it asks for what plain processes cannot honour.
            SpecError: its model.yaml is wrong.
            DeployError: it could not be started.
        """
        refuse_unsupported(spec)
        entry = self._entry(spec)
        folder = make_folder(self._workplace, self._owner, spec)
        what = Launch(
            program=[sys.executable, *entry, str(folder / "ceiling")],
            directory=self._images_dir / spec.image,
            environment={**_neutral_environment(), "PYTHONPATH": str(self._images_dir), MARK: folder.name},
            output=folder,
            cores=spec.cores,
            open_files=spec.open_files,
        )
        try:
            return ProcessService(spec, folder, launch(what))
        except BaseException:
            discard_folder(folder)
            raise

    def clean(self) -> int:
        """Remove what this owner still has here and what dead owners left behind; return how many services.

        Raises:
            HostError: some process did not die within 5 s.
        """
        removed = 0
        for folder in removable_folders(self._workplace, self._owner):
            discard_folder(folder)
            removed += 1
        return removed

    def facts(self) -> Mapping[str, Any]:
        """The interpreter that runs the services, and the CPUs it may use."""
        return {
            "runtime": self.name,
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "affinity": sorted(os.sched_getaffinity(0)),
        }

    def _entry(self, spec: ServiceSpec) -> Sequence[str]:
        """Arguments to Python that run the service in its folder of images/."""
        folder = self._images_dir / spec.image
        if spec.command:
            return spec.command
        if (folder / "model.yaml").is_file():
            if entry := load_model(folder).entry:
                return entry
            raise RuntimeUnavailable(
                f"{spec.name}: the model {spec.image} has no `entry` and runs in Docker only; use RUNTIME=docker"
            )
        if (folder / DEFAULT_ENTRY[0]).is_file():
            return DEFAULT_ENTRY
        raise DeployError(f"{spec.name}: images/{spec.image} has neither a model.yaml nor a {DEFAULT_ENTRY[0]}")


def refuse_unsupported(spec: ServiceSpec) -> None:
    """Refuse what plain processes cannot honour, rather than measure something else.

    Raises:
        RuntimeUnavailable: with what to do.
    """
    if spec.ready is not None:
        raise RuntimeUnavailable(f"{spec.name}: the image {spec.image} runs in Docker only; use RUNTIME=docker")
    if spec.memory_bytes is not None:
        raise RuntimeUnavailable(f"{spec.name}: plain processes have no memory limit; use RUNTIME=docker")
    if spec.network != "host":
        raise RuntimeUnavailable(f"{spec.name}: plain processes have no {spec.network} network; use RUNTIME=docker")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if spec.open_files is not None and hard != resource.RLIM_INFINITY and spec.open_files > hard:
        raise RuntimeUnavailable(
            f"{spec.name}: needs {spec.open_files} open files, the hard limit is {hard};"
            f" raise it (`ulimit -Hn {spec.open_files}` as root, or /etc/security/limits.conf) or ask for fewer connections"
        )


def _neutral_environment() -> dict[str, str]:
    """The harness's environment less what makes another interpreter of Python (`PYTHONMALLOC`, `PYTHONDEVMODE`, …)."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _plain(name: str) -> str:
    if name != Path(name).name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is not a plain file name")
    return name


def _tail(path: Path, size: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
