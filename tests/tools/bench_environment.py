"""Locust's own environment: `.venv/bench`, from requirements/bench.txt, remade only when the lock or the Python changes.

Apart from the rest, since Locust patches the standard library and pins what the harness does not.
"""

import hashlib
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".venv" / "bench"
LOCK = ROOT / "requirements" / "bench.txt"
DEADLINE_S = 900


def make() -> bool:
    """Make it where it is not there; whether it is. What went wrong is printed."""
    stamp, wanted = (
        PLACE / "ceiling-stamp",
        f"{platform.python_version()} {hashlib.sha256(LOCK.read_bytes()).hexdigest()}\n",
    )
    if stamp.exists() and stamp.read_text() == wanted:
        return True
    print(f"making .venv/bench from requirements/{LOCK.name}, once …", flush=True)
    try:
        venv.create(PLACE, clear=True, with_pip=True)
        done = subprocess.run(
            [
                PLACE / "bin" / "python",
                "-m",
                "pip",
                "install",
                "--require-hashes",
                "--only-binary",
                ":all:",
                "-r",
                LOCK,
            ],
            env={**os.environ, "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE_S,
            check=False,
            text=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        print(f".venv/bench could not be made: {error}", file=sys.stderr)
        return False
    if done.returncode:
        print(f".venv/bench could not be made; pip said:\n{done.stdout[-2000:]}", file=sys.stderr)
        return False
    stamp.write_text(wanted)
    return True


if __name__ == "__main__":
    sys.exit(0 if make() else 3)
