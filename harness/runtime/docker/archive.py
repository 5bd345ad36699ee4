"""Files on their way into a container, as the archives that the engine unpacks there in order."""

import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

FOLDER = "/ceiling"
OUT = f"{FOLDER}/out"


def initial_files(config: Mapping[str, Any]) -> bytes:
    """The service's folder before its start: its configuration and the empty folder for its results. Unpacks at /."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add_folder(archive, FOLDER, 0o755)
        _add_folder(archive, OUT, 0o777)  # an image may run as any user
        _add_file(archive, f"{FOLDER}/config.json", json.dumps(config).encode())
    return buffer.getvalue()


def whole_file(name: str, data: bytes) -> bytes:
    """A file that appears whole or not at all. Unpacks in the service's folder.

    The engine writes files in place, and a reader could meet half of one. So the content goes under another name
    first; the name itself comes second, as a hard link, which appears in one step.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add_file(archive, f".{name}.partial", data)
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.LNKTYPE, f".{name}.partial"
        archive.addfile(link)
    return buffer.getvalue()


def only_file(packed: bytes) -> bytes | None:
    """Content of the one regular file in an archive; none where it holds something else."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        entry = archive.next()
        file = archive.extractfile(entry) if entry is not None and entry.isreg() else None
        return file.read() if file is not None else None


def _add_folder(archive: tarfile.TarFile, path: str, mode: int) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    archive.addfile(entry)


def _add_file(archive: tarfile.TarFile, path: str, data: bytes) -> None:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.size, entry.mode = len(data), 0o644
    archive.addfile(entry, io.BytesIO(data))
