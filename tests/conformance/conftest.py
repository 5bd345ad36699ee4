"""A folder of images outside the checkout, for servers of the tests' own."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The checkout's shared parts, and room for a broken server."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("common", "tpc"):
        (folder / name).symlink_to(ROOT / "images" / name)
    return folder
