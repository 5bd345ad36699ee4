"""The warden of a host: a container that holds the host for a run, and ends the run's load when the lease is over."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import LogConfig, Mount

from harness.errors import DeployError, HostError, RuntimeUnavailable
from harness.runtime.base import Owner
from harness.runtime.docker.archive import initial_files
from harness.runtime.docker.attached import Attached
from harness.runtime.docker.channel import SOCKET
from harness.runtime.docker.creating import CONFLICT, create_once, start_once
from harness.runtime.docker.holders import clear_or_refuse
from harness.runtime.docker.patience import FAILURES, Reach, reason
from harness.runtime.docker.removal import remove_container
from harness.runtime.docker.runtime import LOG_LIMITS, WARDEN

NAME = "ceiling-warden"  # the lock: an engine has one container of a name
SOCKET_INSIDE = "/run/engine.sock"

LEASE_S = 60.0
RENEWALS_A_LEASE = 6
ANSWER_S = 10.0
AGAIN_S = 1.0  # after a renewal that failed
RELEASE_S = 5.0  # of patience: a host that is away frees itself when the lease is over
TAKEOVERS = 3  # of a name that others want, too
GONE = "its warden is gone: another run has taken the host, or it was cleaned"


def hold(
    client: docker.DockerClient,
    image_id: str,
    owner: Owner,
    host: str,
    *,
    exclusive: bool = True,
    lease_s: float = LEASE_S,
    cores: Sequence[int] = (),
    patience_s: float = 0.0,
    socket: str = SOCKET,
    boot: Callable[[], str] | None = None,
) -> "Warden":
    """Hold a host for a run, and keep holding it: the lease is renewed by a thread until `release`.

    What a dead run, or one whose lease is over, left of itself there is removed first.

    Args:
        client: of the host's engine.
        image_id: of `images/warden`, on that engine.
        owner: whose containers end when the lease is over.
        host: its name, for messages.
        exclusive: nobody else may hold the host; False: as many runs as there are, each with a warden of its own.
        lease_s: how long the run's load goes on without a renewal.
        cores: CPUs to stay on, away from what is measured; none: any.
        patience_s: how long the way to the engine may be lost before that is an error.
        socket: the engine's, as the engine itself sees it.
        boot: what differs after every start of the host: of one that has lost its warden with it another is made. Where it
            still is the same, somebody has removed the warden; so it is where nobody can tell.

    Raises:
        HostError: another run holds it: which, whose, and since when.
        RuntimeUnavailable: the warden cannot run there.
    """
    name = NAME if exclusive else re.sub(r"[^A-Za-z0-9_.-]", "-", f"{NAME}-{owner.run}-{owner.pid}")
    reach = Reach(host, patience_s=patience_s)
    config = {"format": 1, "labels": owner.labels(), "lease_s": lease_s, "socket": SOCKET_INSIDE}

    def take() -> Container:
        container = _claim(client, image_id, _settings(name, owner, cores, socket), owner, reach)
        reach.again(lambda: container.put_archive("/", initial_files(config)))
        start_once(container, reach)
        return container

    try:
        return Warden(client, take, reach, lease_s, boot)
    except FAILURES as error:
        if isinstance(error, HostError | RuntimeUnavailable):
            raise
        raise RuntimeUnavailable(f"{host}: its warden does not start: {reason(error)}") from None


class Warden:
    """A host that is held. `release` it, or use it as a context."""

    def __init__(
        self,
        client: docker.DockerClient,
        take: Callable[[], Container],
        reach: Reach,
        lease_s: float,
        boot: Callable[[], str] | None,
    ) -> None:
        """Take the host, and begin to renew the lease; the arguments are those of `hold`.

        Raises:
            RuntimeUnavailable: the warden does not answer.
            Exception: one of `FAILURES`: the host is not to be had.
        """
        self._client = client
        self._take = take
        self._boot = boot or (lambda: "")
        self._taken_in = self._boot()
        self._container = take()
        self._reach = reach
        self._every_s = lease_s / RENEWALS_A_LEASE
        self._number = 0
        self._attached: Attached | None = None
        self._held = False  # once it has answered
        self._renewed = time.monotonic()
        self._trouble = ""
        self._released = threading.Event()
        self._lock = threading.Lock()
        try:
            reach.again(self.renew)
        except (*FAILURES, ValueError) as error:
            why = self._last_words() or reason(error)
            self._remove()
            raise RuntimeUnavailable(
                f"{reach.host}: its warden does not run: {why}; it needs the engine's socket"
            ) from None
        self._thread = threading.Thread(target=self._keep_renewing, name=f"lease of {reach.host}", daemon=True)
        self._thread.start()

    @property
    def broken(self) -> float | None:
        """Seconds since the last renewal that came through, where the newest did not; None while all is well."""
        return time.monotonic() - self._renewed if self._trouble else None

    @property
    def trouble(self) -> str:
        """Why the newest renewal did not come through; nothing while all is well."""
        return self._trouble

    def renew(self) -> None:
        """Let the lease begin anew, now. A warden that has ended is started again, and one that went with its host made again.

        Raises:
            NotFound: it is gone: somebody else has taken the host, or cleaned it.
            Exception: one of `FAILURES`: it did not come through.
        """
        with self._lock:
            try:
                self._number += 1
                attached = self._attached = self._attached or self._attach()
                while f'"{self._number}"' not in attached.ask(str(self._number), ANSWER_S):
                    pass  # the answer to an earlier one, which came too late
            except BaseException as error:
                self._trouble = reason(error) or type(error).__name__
                if self._attached is not None:
                    self._attached.close()
                    self._attached = None
                raise
            self._held, self._renewed, self._trouble = True, time.monotonic(), ""

    def see_held(self) -> None:
        """See that the host is held now: after it was away, say. Takes it again where it has to.

        Raises:
            HostError: it is not held any more, and why.
        """
        with contextlib.suppress(
            *FAILURES, ValueError
        ):  # of a conversation that ended with the host: the next begins anew
            self.renew()
            return
        try:
            self._reach.again(self.renew)
        except NotFound:
            raise HostError(f"{self._reach.host}: {GONE}") from None
        except HostError:
            raise
        except (*FAILURES, ValueError) as error:
            raise HostError(f"{self._reach.host}: its warden does not answer: {reason(error)}") from None

    def release(self) -> None:
        """Let go of the host. One that cannot be reached frees itself when the lease is over."""
        self._released.set()
        self._thread.join(ANSWER_S)
        if self._attached is not None:
            self._attached.close()
        self._remove()

    def __enter__(self) -> "Warden":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _attach(self) -> Attached:
        try:
            self._container.reload()
        except NotFound:
            boot = self._boot()
            if boot == self._taken_in:
                raise
            self._container, self._taken_in = self._take(), boot
        if self._container.status != "running":
            if not self._held:
                raise RuntimeUnavailable("it ended at once")
            self._container.start()
            self._taken_in = self._boot()
        return Attached(self._client, str(self._container.id))

    def _keep_renewing(self) -> None:
        while not self._released.wait(AGAIN_S if self._trouble else self._every_s):
            try:
                self.renew()
            except NotFound:
                self._trouble = GONE  # until the host starts anew
            except (*FAILURES, ValueError):
                continue  # told by `broken`

    def _remove(self) -> None:
        patience_s = min(self._reach.patience_s, RELEASE_S)
        with contextlib.suppress(DeployError):
            remove_container(self._container, Reach(self._reach.host, patience_s=patience_s))

    def _last_words(self) -> str:
        with contextlib.suppress(*FAILURES):
            return self._container.logs(tail=3).decode(errors="replace").strip().replace("\n", "; ")
        return ""


def _claim(
    client: docker.DockerClient, image_id: str, settings: dict[str, Any], owner: Owner, reach: Reach
) -> Container:
    """The container under the lock's name, once nobody else has it.

    Raises:
        HostError: somebody else has it.
        Exception: one of `FAILURES`.
    """
    for attempt in range(TAKEOVERS):
        try:
            return create_once(client, image_id, settings, reach)
        except APIError as error:
            if error.status_code != CONFLICT or attempt == TAKEOVERS - 1:
                raise
        clear_or_refuse(client, settings["name"], owner, reach)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _settings(name: str, owner: Owner, cores: Sequence[int], socket: str) -> dict[str, Any]:
    """No deadline among the labels: a run may last, and its warden with it."""
    return {
        "name": name,
        "labels": {**owner.labels(), "ceiling.role": WARDEN, "ceiling.name": WARDEN},
        "detach": True,  # else the SDK has the engine close standard input after the first conversation
        "stdin_open": True,
        "network_mode": "none",
        "userns_mode": "host",  # the socket is the host's root's
        "security_opt": ["label=disable"],  # SELinux keeps it from containers
        "mounts": [Mount(SOCKET_INSIDE, socket, type="bind")],
        "log_config": LogConfig(type="json-file", config=LOG_LIMITS),
        "use_config_proxy": False,
        "init": False,
        "cpuset_cpus": ",".join(map(str, cores)) or None,
    }
