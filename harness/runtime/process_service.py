"""One plain local process as a service."""

import time
from collections.abc import Iterator
from pathlib import Path
from signal import Signals

from harness.errors import DeployError
from harness.runtime.base import ServiceSpec
from harness.runtime.follow import Follower
from harness.runtime.launch import Launch, launch
from harness.runtime.leftovers import kill_marked, signal_marked
from harness.runtime.workplace import discard_folder

KILL_DEADLINE_S = 5.0
LOG_BYTES = 1 << 16


class ProcessService:
    """A service that runs as a process of this host."""

    def __init__(self, spec: ServiceSpec, what: Launch) -> None:
        """Start it.

        Raises:
            DeployError: it could not be started.
        """
        self.spec = spec
        self._what = what
        self._folder = what.output
        self._process = launch(what)
        self._output = Follower(self._folder / "stdout", self._process.pid)

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

    def freeze(self) -> None:
        """Stop all of its processes where they stand; nothing happens where they have ended."""
        signal_marked(self._folder.name, Signals.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on; nothing happens where they are not stopped."""
        signal_marked(self._folder.name, Signals.SIGCONT)

    def kill(self) -> None:
        """Kill all of its processes at once, as a crash would; what it has written so far stays.

        Raises:
            HostError: some process did not die within 5 s.
        """
        self._process.kill()
        kill_marked(self._folder.name)
        self._process.wait(KILL_DEADLINE_S)

    def start_again(self) -> None:
        """Start it anew in the folder that it left; its output goes on behind what it has printed.

        Raises:
            DeployError: it could not be started, or is still running.
        """
        if self.running():
            raise DeployError(f"{self.spec.name}: is still running, and cannot be started again")
        printed = (self._folder / "stdout").stat().st_size
        self._process = launch(self._what)
        self._output = Follower(self._folder / "stdout", self._process.pid, printed)


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
