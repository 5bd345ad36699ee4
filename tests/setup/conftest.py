"""A small checkout with a tiny lock, and machines that lack something: a PATH of chosen commands only."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SET_UP_FILES = ("Makefile", "harness/setup.sh", "harness/experiment-path.sh")
TOOLS = [
    "awk",
    "cat",
    "chmod",
    "cut",
    "date",
    "dirname",
    "env",
    "find",
    "flock",
    "grep",
    "head",
    "id",
    "kill",
    "make",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "touch",
    "tr",
    "uname",
]


def write_wheel(folder: Path, name: str) -> str:
    """Write a wheel of an empty module; return its line for a lock."""
    files = {
        f"{name}.py": "",
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{name}-1.0.dist-info/RECORD"
    lines = [f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items()]
    files[record] = "".join(lines) + f"{record},,\n"
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@dataclass
class Checkout:
    """A copy of what the set-up consists of, with locks that hold one tiny package each."""

    path: Path
    machine: Path  # the only folder on PATH
    wheels: Path
    environment: dict[str, str] = field(default_factory=dict)

    def lock(self, kind: str, text: str) -> None:
        (self.path / "requirements" / f"{kind}.txt").write_text(text)

    def has_only(self, name: str, script: str) -> None:
        """Put a command on this machine that is a shell script of these lines."""
        command = self.machine / name
        command.unlink(missing_ok=True)
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)

    def run(self, *argv: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=self.path,
            env={"PATH": str(self.machine), **self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def set_up(self, kind: str = "runtime") -> subprocess.CompletedProcess[str]:
        return self.run("harness/setup.sh", kind)

    def python_has(self, module: str) -> bool:
        return self.run(".venv/bin/python", "-c", f"import {module}").returncode == 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    path, machine, wheels = tmp_path / "check out", tmp_path / "bin", tmp_path / "wheels"
    for folder in (
        path / "requirements",
        path / "experiments" / "chapter",
        path / "experiments" / "hosts",
        machine,
        wheels,
    ):
        folder.mkdir(parents=True)
    for name in SET_UP_FILES:
        (path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, path / name)
    for experiment in ("quickstart", "chapter/tails", "hosts/local"):
        (path / "experiments" / f"{experiment}.yaml").touch()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (machine / tool).symlink_to(found)
    (machine / "python3").symlink_to(Path(sys.executable).resolve())
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}
    made = Checkout(path, machine, wheels, offline)
    runtime = write_wheel(wheels, "alpha")
    made.lock("runtime", runtime)
    made.lock("dev", runtime + write_wheel(wheels, "beta"))
    return made
