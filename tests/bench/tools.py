"""Which tools are here, and in which version."""

import re
import subprocess
from collections.abc import Sequence

from tests.bench.peers import LOCUST

_ASKED: dict[str, Sequence[str]] = {
    "nginx": ("nginx", "-v"),
    "wrk": ("wrk", "-v"),
    "h2load": ("h2load", "--version"),
    "locust": (str(LOCUST), "--version"),
}


def versions() -> dict[str, str | None]:
    """The version of each; None where it is not installed or does not say."""
    return {name: _version(command) for name, command in _ASKED.items()}


def _version(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False
        )
    except OSError:
        return None
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout)
    return found[0] if found else None
