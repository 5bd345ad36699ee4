"""One Docker engine as a runtime: containers made, found again by their labels, and cleaned up."""

import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal, Protocol

import docker
from docker.types import LogConfig, Ulimit

from harness.errors import DeployError, RuntimeUnavailable
from harness.runtime.base import Owner, ServiceSpec, owner_is_dead
from harness.runtime.docker.archive import initial_files
from harness.runtime.docker.creating import create_once, start_once
from harness.runtime.docker.packages import packages_of
from harness.runtime.docker.patience import FAILURES, Reach, reason
from harness.runtime.docker.removal import remove_container
from harness.runtime.docker.service import DockerService

LABEL_OWNER = "ceiling.run"  # every container of ours carries it
WARDEN = "warden"  # role of the container that holds the host for a run
LEASE_S = 3600.0
LOG_LIMITS = {"max-size": "8m", "max-file": "2"}  # a service that prints without end must not fill the disk
REMOVALS_AT_ONCE = 8
LOOKS_AT_ONCE = 4


class Image(Protocol):
    """What the runtime needs to know of an image."""

    @property
    def tag(self) -> str:
        """Its name."""

    @property
    def id(self) -> str:
        """Its id at the engine: containers are made from this, never from a name that may have moved on."""

    @property
    def digest(self) -> str:
        """Digest of its content and its base."""

    @property
    def route(self) -> str:
        """Where its base image came from; nothing where it is not ours."""

    @property
    def seccomp(self) -> str | None:
        """JSON of the seccomp profile that its containers run under; none: the engine's own profile."""


class DockerRuntime:
    """Starts services as containers on one engine. Safe to use from several threads."""

    name: Literal["docker"] = "docker"

    def __init__(
        self,
        client: docker.DockerClient,
        images: Mapping[str, Image],
        owner: Owner,
        lease_s: float = LEASE_S,
        *,
        host: str | None = None,
        address: str = "127.0.0.1",
        patience_s: float = 0.0,
    ) -> None:
        """A runtime on an engine.

        Args:
            client: of the engine.
            images: by folder of images/, ready ones by their reference.
            owner: of everything that is created.
            lease_s: written into each container as its deadline: past it nobody needs it.
            host: name of the engine's host, for messages; None: it is this one.
            address: at which services with the host's network are reached.
            patience_s: how long the way to the engine may be lost before that is an error.
        """
        self._client = client
        self._images = dict(images)
        self._owner = owner
        self._lease_s = lease_s
        self._reach = Reach(host, address, patience_s)

    def start(self, spec: ServiceSpec) -> DockerService:
        """Create, configure and start a container.

        Raises:
            DeployError: the engine refused one of the steps; what it said.
        """
        if spec.image not in self._images:
            raise DeployError(
                f"{spec.name}: no image was built for {spec.image!r}; there are: {', '.join(self._images)}"
            )
        container = None
        try:
            container = create_once(self._client, self._images[spec.image].id, self._settings(spec), self._reach)
            if spec.ready is None:
                self._reach.again(partial(container.put_archive, "/", initial_files(spec.config)))
            start_once(container, self._reach)
        except FAILURES as error:
            if container is not None:
                remove_container(container, self._reach)
            raise DeployError(f"{spec.name}{self._where}: its container did not start: {reason(error)}") from None
        return DockerService(spec, container, self._reach)

    def clean(self) -> int:
        """Remove this run's containers, and those of runs whose owner is dead; return how many.

        Raises:
            RuntimeUnavailable: the engine does not answer.
            DeployError: a container cannot be removed.
        """
        try:
            listed = partial(self._client.containers.list, all=True, sparse=True, filters={"label": LABEL_OWNER})
            found = self._reach.again(listed)
        except FAILURES as error:
            raise RuntimeUnavailable(
                f"the Docker engine{self._where} does not list its containers: {reason(error)}"
            ) from None
        leftovers = [container for container in found if self._is_left(container.attrs["Labels"])]
        with ThreadPoolExecutor(REMOVALS_AT_ONCE) as pool:
            list(pool.map(partial(remove_container, reach=self._reach), leftovers))
        return len(leftovers)

    def facts(self) -> dict[str, Any]:
        """Of the engine and the images, for environment.json.

        Raises:
            RuntimeUnavailable: the engine does not answer.
        """
        try:
            info = self._reach.again(self._client.info)
            with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
                packages = dict(zip(self._images, pool.map(self._packages, self._images), strict=True))
        except FAILURES as error:
            raise RuntimeUnavailable(f"the Docker engine{self._where} does not answer: {reason(error)}") from None
        return {
            "engine": {
                "version": info.get("ServerVersion"),
                "api": self._client.api.api_version,
                "storage_driver": info.get("Driver"),
                "cgroup_version": info.get("CgroupVersion"),
                "cgroup_driver": info.get("CgroupDriver"),
                "runtime": info.get("DefaultRuntime"),
                "security": info.get("SecurityOptions"),
                "system": info.get("OperatingSystem"),
            },
            "base": sorted({image.route for image in self._images.values() if image.route}),
            "images": {
                folder: {"tag": image.tag, "id": image.id, "digest": image.digest, "packages": packages[folder]}
                for folder, image in self._images.items()
            },
        }

    def _packages(self, folder: str) -> dict[str, str]:
        """Debian's packages in an image of ours, with their versions; none of one that is not ours, nor is looked into."""
        image = self._images[folder]
        if not image.route:
            return {}
        never_run = ("-V",)
        spec = ServiceSpec(name=f"packages-{folder}", role="tool", image=folder, config={}, cores=(), command=never_run)
        container = create_once(self._client, image.id, self._settings(spec), self._reach)
        try:
            return packages_of(container, self._reach)
        finally:
            remove_container(container, self._reach)

    @property
    def _where(self) -> str:
        return "" if self._reach.host is None else f" on {self._reach.host}"

    def _is_left(self, labels: Mapping[str, str]) -> bool:
        """Whether it goes: all that is ours, but for the warden that holds the host for this very run."""
        if labels.get("ceiling.role") == WARDEN:
            return owner_is_dead(labels)
        return self._owner.may_remove(labels)

    def _settings(self, spec: ServiceSpec) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "name": re.sub(r"[^A-Za-z0-9_.-]", "-", f"ceiling-{self._owner.run}-{self._owner.pid}-{spec.name}"),
            "labels": self._labels(spec),
            "network_mode": spec.network,
            "log_config": LogConfig(type="json-file", config=LOG_LIMITS),
            "use_config_proxy": False,  # a person's proxy settings are no part of what is measured
            "init": False,  # the service itself is PID 1 and handles its signals, as the contract asks
        }
        if (profile := self._images[spec.image].seccomp) is not None:
            settings["security_opt"] = [f"seccomp={profile}"]
        if spec.cores:
            settings["cpuset_cpus"] = ",".join(map(str, spec.cores))
        if spec.memory_bytes is not None:
            settings |= {"mem_limit": spec.memory_bytes, "memswap_limit": spec.memory_bytes}
        if spec.open_files is not None:
            settings["ulimits"] = [Ulimit(name="nofile", soft=spec.open_files, hard=spec.open_files)]
        if spec.command:
            settings |= {"entrypoint": ["python3"], "command": list(spec.command)}
        if spec.ready is not None:
            settings |= {"environment": spec.ready.env, "command": spec.ready.command or None}  # none: the image's own
        return settings | (_sight_of_the_host() if spec.role == "probe" else {})

    def _labels(self, spec: ServiceSpec) -> dict[str, str]:
        own = {
            "ceiling.role": spec.role,
            "ceiling.name": spec.name,
            "ceiling.deadline": str(round(time.time() + self._lease_s)),  # seconds since 1970
        }
        return self._owner.labels() | own


def _sight_of_the_host() -> dict[str, Any]:
    """What the probe needs to see other containers: their processes, their memory maps, their cgroups and their sockets.

    SYS_ADMIN is for setns(2): it makes a socket in the network namespace of a container on a bridge, to ask for its queues.
    """
    return {
        "pid_mode": "host",
        "cgroupns": "host",
        "cap_add": ["SYS_PTRACE", "SYS_ADMIN"],
        "volumes": {"/sys/fs/cgroup": {"bind": "/sys/fs/cgroup", "mode": "ro"}},
    }
