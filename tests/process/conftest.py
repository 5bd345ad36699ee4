"""Small real services in an images/ of their own, and a runtime to run them."""

import os
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.process import ProcessRuntime
from harness.runtime.process_service import ProcessService

Start = Callable[..., ProcessService]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    return folder


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture
def runtime(images: Path, workplace: Path) -> ProcessRuntime:
    return ProcessRuntime(make_owner("test"), images, workplace)


@pytest.fixture
def start(runtime: ProcessRuntime, images: Path) -> Iterator[Start]:
    """Start a service from the text of its main.py; all are removed afterwards."""
    started: list[ProcessService] = []

    def start_script(script: str, **settings: Any) -> ProcessService:
        write_script(images / "service", script)
        spec = {"name": "service", "role": "tool", "image": "service", "config": {}, "cores": ()} | settings
        started.append(runtime.start(ServiceSpec(**spec)))
        return started[-1]

    yield start_script
    for service in started:
        service.remove()


def write_script(folder: Path, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(textwrap.dedent(script))


def is_alive(pid: int) -> bool:
    """Whether a process runs: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_hard(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
