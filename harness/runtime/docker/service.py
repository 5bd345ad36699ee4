"""One container as a service."""

import time
from collections.abc import Callable, Iterator, Mapping
from signal import Signals
from typing import Any

from docker.errors import APIError, NotFound
from docker.models.containers import Container

from harness.errors import DeployError
from harness.runtime.base import ServiceSpec
from harness.runtime.docker.archive import FOLDER, OUT, only_file, whole_file
from harness.runtime.docker.first_process import FATAL_TO_PID_1, FirstProcess
from harness.runtime.docker.output import Lines
from harness.runtime.docker.patience import FAILURES, LOST, Reach, reason
from harness.runtime.docker.removal import is_gone, remove_container

LOG_BYTES = 64 * 1024
LOG_LINES = 2000
END_DEADLINE_S = 10.0  # from a killed process to an engine that knows of it
FROZEN_ALREADY, NOT_FROZEN, NOT_RUNNING = (
    "is already paused",
    "is not paused",
    "is not running",
)  # in the engine's words
LAST_LOOK_S = 5.0  # at a container that may have ended while the way to it was lost
MARK = Signals.SIGUSR1  # the one signal that says something else when it comes twice


class DockerService:
    """A service that runs in a container."""

    def __init__(self, spec: ServiceSpec, container: Container, reach: Reach) -> None:
        self.spec = spec
        self._container = container
        self._reach = reach
        self._near = reach.host is None
        self._printed = 0  # lines of its earlier lives
        self._attach()

    def _attach(self) -> None:
        self._attributes: Mapping[str, Any] = self._container.attrs  # as they were just after the start
        seen = self._near and self.main_pid
        self._process = FirstProcess.find(self.main_pid, str(self._container.id)) if seen else None
        self._lines: Lines | None = None

    @property
    def address(self) -> str:
        """IP address at which the client reaches its ports."""
        if self.spec.network == "host":
            return self._reach.address
        return str(self._attributes["NetworkSettings"]["Networks"]["bridge"]["IPAddress"])

    @property
    def main_pid(self) -> int:
        """Process id of its first process, in the engine's PID namespace; 0 if it ended at once."""
        return int(self._attributes["State"]["Pid"])

    def running(self) -> bool:
        """Whether its main process is still there."""
        return self._process.running() if self._process else bool(self._state().get("Running"))

    def put(self, name: str, data: bytes) -> None:
        """Hand it a further file, next to its configuration; the file appears whole or not at all.

        Raises:
            DeployError: the engine could not do it.
        """
        try:
            self._reach.again(lambda: self._container.put_archive(FOLDER, whole_file(name, data)))
        except FAILURES as error:
            raise self._error(f"{name} could not be put into its container: {reason(error)}") from None

    def fetch(self, name: str) -> bytes:
        """Read a file it left under out/.

        Raises:
            FileNotFoundError: there is no regular file of that name.
            DeployError: the engine could not do it.
        """
        try:
            data = only_file(self._reach.again(lambda: b"".join(self._container.get_archive(f"{OUT}/{name}")[0])))
        except NotFound:
            data = None
        except FAILURES as error:
            raise self._error(f"{name} could not be fetched from its container: {reason(error)}") from None
        if data is None:
            raise FileNotFoundError(f"{self.spec.name}: no file {OUT}/{name} in its container")
        return data

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Its lines of standard output as they come, until it ends; each is handed out once.

        Raises:
            DeployError: nothing came for `timeout_s`.
        """
        if self._lines is None:
            self._lines = Lines(self._container, self._reach, self._printed)
        try:
            while (line := self._lines.next(timeout_s)) is not None:
                yield line
        except TimeoutError:
            raise self._error(f"printed nothing for {timeout_s:g} s; its last output:\n{self.logs()}") from None
        except FAILURES as error:
            raise self._error(f"what it prints is out of reach: {reason(error)}") from None

    def signal(self, signal: Signals) -> None:
        """Send a signal to its main process; nothing happens when that is gone.

        Raises:
            DeployError: the engine could not do it.
        """
        if self._process is not None and self._process.send(signal):
            return
        try:
            if signal == MARK:
                self._container.kill(signal.name)
            else:
                self._reach.again(lambda: self._container.kill(signal.name))
        except FAILURES as error:
            if not is_gone(error):
                raise self._error(f"{signal.name} could not be sent: {reason(error)}") from None

    def wait(self, timeout_s: float) -> int:
        """Wait for its end and return the exit status (negative signal number when one killed it).

        Raises:
            DeployError: it did not end within `timeout_s`.
        """
        status = self._await_end(timeout_s)
        return 128 - status if status - 128 in FATAL_TO_PID_1 else status

    def _await_end(self, timeout_s: float) -> int:
        """Its exit status; what becomes of the way to it meanwhile takes nothing of the time that it has."""
        deadline = time.monotonic() + timeout_s
        first = True

        def ask() -> int | None:
            nonlocal first
            left_s = timeout_s if first else max(deadline - time.monotonic(), LAST_LOOK_S)
            first, began = False, time.monotonic()
            try:
                return int(self._container.wait(timeout=left_s)["StatusCode"])
            except APIError:
                raise
            except LOST:
                if time.monotonic() - began >= left_s:  # an answer that did not come in time
                    return None
                raise

        try:
            status = self._reach.again(ask)
        except FAILURES as error:
            raise self._error(f"its end could not be waited for: {reason(error)}") from None
        if status is None:
            raise self._error(f"did not end within {timeout_s:g} s; its last output:\n{self.logs()}")
        return status

    def logs(self) -> str:
        """The last of its output, at most 64 KiB, and how it ended where it did not end well."""
        try:
            output = self._reach.again(lambda: self._container.logs(tail=LOG_LINES))
        except FAILURES as error:
            return f"[its output is lost: {reason(error)}]\n"
        ending = self._ending().encode()
        return (output[-(LOG_BYTES - len(ending)) :] + ending).decode("utf-8", "replace")

    def remove(self) -> None:
        """Kill what is left of it and remove its container. Never raises for what is already gone.

        Raises:
            DeployError: the engine could not remove it.
        """
        if self._process is not None:
            self._process.close()
        if self._lines is not None:
            self._lines.stop()
        remove_container(self._container, self._reach)

    def freeze(self) -> None:
        """Stop all of its processes where they stand, by the freezer of its cgroup; nothing happens where it has ended.

        Raises:
            DeployError: the engine could not do it.
        """
        self._act(self._container.pause, "frozen", but=FROZEN_ALREADY)

    def thaw(self) -> None:
        """Let them go on; nothing happens where it is not frozen.

        Raises:
            DeployError: the engine could not do it.
        """
        self._act(self._container.unpause, "thawed", but=NOT_FROZEN)

    def kill(self) -> None:
        """Kill all of its processes at once: with the first of a container the kernel kills the others.

        Raises:
            DeployError: the engine could not do it.
        """
        self.signal(Signals.SIGKILL)

    def start_again(self) -> None:
        """Start the container anew; its files are as the first life left them.

        Raises:
            DeployError: the engine could not start it, or it is still running.
        """
        if self.running():
            raise self._error("is still running, and cannot be started again")
        try:
            self.wait(END_DEADLINE_S)  # its process is gone; the engine may not know yet, and would start nothing then
            before = self._reach.again(lambda: self._container.logs(stdout=True, stderr=False))
            self._printed = before.count(b"\n")
            self._reach.again(self._container.start)
            self._reach.again(self._container.reload)
        except FAILURES as error:
            raise self._error(f"could not be started again: {reason(error)}") from None
        if self._process is not None:
            self._process.close()
        self._attach()

    def _act(self, act: Callable[[], None], what: str, but: str) -> None:
        """Have the engine do something that may be done twice; what is so already, or has ended, is fine."""
        try:
            self._reach.again(act)
        except FAILURES as error:
            if but not in reason(error) and NOT_RUNNING not in reason(error):
                raise self._error(f"could not be {what}: {reason(error)}") from None

    def _state(self) -> Mapping[str, Any]:
        """What the engine says of it now; nothing once its container is removed."""
        try:
            self._reach.again(self._container.reload)
        except NotFound:
            return {}
        except FAILURES as error:
            raise self._error(f"its state is unknown: {reason(error)}") from None
        state: Mapping[str, Any] = self._container.attrs["State"]
        return state

    def _ending(self) -> str:
        state = self._state()
        status, out_of_memory = state.get("ExitCode"), state.get("OOMKilled")
        if not state or state["Running"] or (status == 0 and not out_of_memory):
            return ""
        limit = f", killed by the kernel at its memory limit of {self.spec.memory_bytes} bytes" if out_of_memory else ""
        return f"\n[the container ended with status {status}{limit}]\n"

    def _error(self, what: str) -> DeployError:
        where = "" if self._near else f" on {self._reach.host}"
        return DeployError(f"{self.spec.name}{where}: {what}")
