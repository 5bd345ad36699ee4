"""The folders of plain processes: whose they are, and how they go.

A service's folder holds all there is of it:

    <name>.<owner's pid>.<owner's start>.<random>/
        owner.json      who owns it: written before the process starts
        ceiling/        the folder that the service is given: config.json, out/
        stdout stderr   its output, in files: a service never waits for a reader

The folder's name is also the mark in the environment of all its processes (harness/runtime/leftovers.py). At whatever
line the harness is killed, what it started can be found again and told from what belongs to others.
"""

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.runtime.base import Owner, ServiceSpec, make_owner
from harness.runtime.leftovers import kill_marked

RECORD = "owner.json"


def make_folder(workplace: Path, owner: Owner, spec: ServiceSpec) -> Path:
    """Make a service's folder, with its owner's record and its configuration."""
    files = {RECORD: json.dumps(owner.labels()), "ceiling/config.json": json.dumps(spec.config)}
    folder = workplace / f"{spec.name[:120]}.{owner.pid}.{owner.pid_started}.{secrets.token_hex(4)}"
    (folder / "ceiling" / "out").mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    return folder


def discard_folder(folder: Path) -> None:
    """Kill every process of a service, then remove its folder; nothing happens where both are gone.

    Raises:
        HostError: some process did not die in time; the folder stays, so that the next cleaning finds it.
    """
    kill_marked(folder.name)
    shutil.rmtree(folder, ignore_errors=True)


def removable_folders(workplace: Path, owner: Owner) -> Iterator[Path]:
    """Folders that this owner made, or that a dead one left behind."""
    return (folder for folder, labels in service_folders(workplace) if owner.may_remove(labels))


def service_folders(workplace: Path) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Every service's folder, and who owns it."""
    with contextlib.suppress(FileNotFoundError):
        for folder in sorted(workplace.iterdir()):
            labels = _labels(folder)
            if labels is not None:
                yield folder, labels


def _labels(folder: Path) -> Mapping[str, str] | None:
    """Who owns a folder; none where it is not a service's.

    Killed between making the folder and writing the record, an owner has left its id and start time in the name.
    """
    _, *identity = folder.name.rsplit(".", 3)
    if len(identity) != 3 or not folder.is_dir():
        return None
    with contextlib.suppress(OSError, ValueError):
        labels = json.loads((folder / RECORD).read_text())
        if isinstance(labels, dict):
            return {str(key): str(value) for key, value in labels.items()}
    pid, started, _ = identity
    return {**make_owner("").labels(), "ceiling.pid": pid, "ceiling.pid-started": started}
