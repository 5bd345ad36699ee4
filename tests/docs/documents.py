"""What the documentation says, and which files are the project's."""

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that is committed or about to be: not what .gitignore names."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout.decode()
    return tuple(path for name in sorted(set(listed.split("\0"))) if name and (path := ROOT / name).is_file())


@cache
def pages() -> tuple[Path, ...]:
    """The pages for people: README, CONTRIBUTING, CHANGELOG, docs/."""
    return tuple(path for path in project_files() if path.suffix == ".md")


@cache
def user_documentation() -> str:
    """README and docs/, as one text: where a user looks things up."""
    return "\n".join(
        path.read_text() for path in pages() if path == ROOT / "README.md" or path.is_relative_to(ROOT / "docs")
    )
