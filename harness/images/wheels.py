"""Wheels for an image: fetched by their hashes, for the engine's processor, and handed to the build as files.

A folder names its requirements in `model.yaml` (`wheels`). The hashes there say what is installed, so they are what
enters the image's digest; the wheels themselves only travel with the build. A machine whose engine has the image needs
none of them, and one whose cache is filled needs no index. Which index that is, is pip's own configuration's business.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from harness.errors import ImageError

PYTHON = "3.13"  # of the base image
GLIBC_MINORS = range(41, 4, -1)  # the base image's glibc is 2.41; wheels made for an older one run on it too
DEADLINE_S = 600.0
PIP_DOWNLOAD = (
    *("-m", "pip", "download", "--require-hashes", "--no-deps", "--only-binary=:all:", "--implementation=cp"),
    *("--no-input", "--progress-bar=off", "--disable-pip-version-check"),
    "--retries=2",  # pip is silent about an index that it tried only once
)
WHEELS = "wheels"  # folder of the wheels, within the model's folder

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)==[A-Za-z0-9.+!]+((?:\s+--hash=sha256:[0-9a-f]{64})+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_UNREACHABLE = re.compile(r"connection|name resolution|unreachable|timed out|proxyerror|sslerror", re.IGNORECASE)
_UNMATCHED = re.compile(r"No matching distribution found for ([^\s(]+)")


def read_requirements(path: Path) -> dict[str, set[str]]:
    """The packages that a file of hashed requirements names, each with the hashes of its wheels.

    Raises:
        ImageError: a line is not `name==version --hash=sha256:…`; a line may go on after a backslash.
    """
    packages: dict[str, set[str]] = {}
    for line in re.sub(r"\\\n", " ", path.read_text("utf-8")).splitlines():
        requirement = re.sub(r"(^|\s)#.*", "", line).strip()
        if not requirement:
            continue
        found = _REQUIREMENT.fullmatch(requirement)
        if found is None:
            raise ImageError(f"{path}: {requirement[:80]!r}; write a package a line: name==version --hash=sha256:…")
        packages[found[1]] = set(_HASH.findall(found[2]))
    return packages


def fetch_wheels(requirements: Path, architecture: str, cache: Path) -> Mapping[str, bytes]:
    """The wheels of these requirements, by file name; from the cache, else by pip.

    Args:
        requirements: file of hashed requirements.
        architecture: the engine's word for its processor: `x86_64` or `aarch64`.
        cache: folder that keeps them.

    Raises:
        ImageError: a line is wrong, there is no wheel for that processor, or no index is to be had.
    """
    packages = read_requirements(requirements)
    content = requirements.read_bytes() + f"\n{PYTHON} {architecture}".encode()
    folder = cache / hashlib.sha256(content).hexdigest()[:16]
    known = set().union(*packages.values())
    wheels = _read(folder, known)
    if len(wheels) != len(packages):
        shutil.rmtree(folder, ignore_errors=True)
        _download(requirements, architecture, folder)
        wheels = _read(folder, known)
    return wheels


def _read(folder: Path, known: set[str]) -> dict[str, bytes]:
    """The wheels there that are what the requirements say; another file of that name counts as none."""
    wheels = {path.name: path.read_bytes() for path in sorted(folder.glob("*.whl"))}
    return {name: data for name, data in wheels.items() if hashlib.sha256(data).hexdigest() in known}


def _download(requirements: Path, architecture: str, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=folder.parent) as temporary:
        done = _run_pip(requirements, architecture, Path(temporary, "new"))
        if done.returncode != 0:
            raise ImageError(f"{requirements}: {_what_failed(done.stdout + done.stderr, architecture)}")
        if not folder.exists():  # another build may have been quicker
            Path(temporary, "new").rename(folder)


def _run_pip(requirements: Path, architecture: str, target: Path) -> "subprocess.CompletedProcess[str]":
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in GLIBC_MINORS] + [f"manylinux2014_{architecture}"]
    argv = [
        *(sys.executable, *PIP_DOWNLOAD, f"--python-version={PYTHON}"),
        *(f"--platform={platform}" for platform in platforms),
        *(f"--dest={target}", f"--requirement={requirements}"),
    ]
    try:
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ImageError(f"{requirements}: pip took more than {DEADLINE_S:g} s; check the way to the index") from None


def _what_failed(output: str, architecture: str) -> str:
    unmatched = _UNMATCHED.search(output)
    if "DO NOT MATCH THE HASHES" in output:
        return "what the index offers has none of these hashes; add the hash of its wheel, or use another index"
    if _UNREACHABLE.search(output):
        return "no index could be reached; check the network and pip's configuration (PIP_INDEX_URL, PIP_CERT, https_proxy)"
    if unmatched:
        return (
            f"no wheel of {unmatched[1]} for Python {PYTHON} on {architecture} is to be had; "
            "name a version that has one, or run this model on another processor"
        )
    last = "\n".join(f"    {line}" for line in output.splitlines()[-10:])
    return f"pip failed:\n{last}"
