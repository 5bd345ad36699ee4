"""`harness new model`: a folder of images/ to start from, that works as it is."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from harness.errors import SpecError
from harness.spec.foreign import folder_name
from harness.spec.problems import listed

Kind = Literal["python", "dockerfile"]

SKELETON = Path(__file__).with_name("skeleton")
PLACEHOLDER = "@name@"


def new_model(name: str, kind: Kind, images: Path) -> Path:
    """Make the folder of a new model.

    Args:
        name: of the folder, and so of the model.
        kind: `python` builds on images/common, `dockerfile` is any program with an HTTP port.
        images: the folder of all images.

    Returns:
        The new folder.

    Raises:
        SpecError: no model can have this name, or there is such a folder.
    """
    try:
        folder = images / folder_name(name)
    except ValueError as error:
        raise SpecError([f"NAME: {error}"]) from None
    if folder.exists() or folder.is_symlink():
        raise SpecError([f"NAME: {images.name}/{name} is there already; choose another name, or remove the folder"])
    half = images / f".{name}.new"  # it appears whole or not at all
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    for source in sorted(path for path in (SKELETON / kind).iterdir() if path.is_file()):
        (half / source.name).write_text(source.read_text().replace(PLACEHOLDER, name))
    return half.rename(folder)


def what_next(folder: Path, kind: Kind) -> Iterator[str]:
    """What to do with a new model: lines for a person."""
    name, runs_in = folder.name, "" if kind == "python" else " (in Docker only)"
    files = listed(sorted(path.name for path in folder.iterdir()))
    yield f"{folder.parent.name}/{name} is a model now, and works as it is{runs_in}: {files}. Next:"
    yield f"  harness serve {name} --port 8080      look at it with curl or a browser"
    yield f"  harness verify {name}                 whether it keeps what every server must"
    yield f"  model: {name}                         in the `base` of a spec, or a level of `factors`: measure it"
    yield "docs/adding-a-server.md goes on from here."
