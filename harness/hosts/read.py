"""Reading the small files in which a kernel describes itself, any of which may be missing."""

import re
from pathlib import Path


def text(path: Path) -> str | None:
    """Its content without surrounding blanks; None where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def number(path: Path) -> int | None:
    """Its content as one integer; None where it is none."""
    try:
        return int(text(path) or "")
    except ValueError:
        return None


def selected(path: Path) -> str | None:
    """The choice in brackets of `always [madvise] never`."""
    match = re.search(r"\[(.*?)\]", text(path) or "")
    return match[1] if match else None
