"""Shell is the language with the most traps: every script passes shellcheck."""

import subprocess

import pytest

from tests.docs.documents import ROOT, project_files


@pytest.mark.slow  # `make test` installs shellcheck, `make check` does not
def test_every_script_passes_shellcheck() -> None:
    scripts = [path for path in project_files() if path.suffix == ".sh" or path == ROOT / ".ci" / "run"]
    assert len(scripts) >= 4
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr
