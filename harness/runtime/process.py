"""Services as plain local processes: the runtime where there is no Docker."""

import os
import platform
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from harness.errors import DeployError, RuntimeUnavailable
from harness.runtime.base import Owner, ServiceSpec
from harness.runtime.launch import Launch
from harness.runtime.leftovers import MARK
from harness.runtime.process_service import ProcessService
from harness.runtime.workplace import discard_folder, make_folder, removable_folders
from harness.spec.catalogue import load_model

DEFAULT_ENTRY = ("main.py",)  # of folders without a model.yaml: client and probe


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
            return ProcessService(spec, what)
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
