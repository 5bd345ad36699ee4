"""A build context names its content, and nothing else; values are data."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import ImageError
from harness.images import build_context, content_digest
from harness.images.context import render


def entries(tar: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {entry.name: entry for entry in archive.getmembers()}


@pytest.fixture
def model(images_dir: Path) -> Path:
    """A model that uses another folder."""
    folder, common = images_dir / "model", images_dir / "common"
    folder.mkdir()
    common.mkdir()
    (common / "shared.py").write_text("SHARED = 1\n")
    (folder / "server.py").write_text("import common.shared\n")
    (folder / "Dockerfile.j2").write_text("FROM {{ base }}\nCOPY common /srv/common\nCOPY model /srv/model\n")
    (folder / "model.yaml").write_text(
        "title: A model\naxes: {connections: one, requests: one}\ncounts: none\nuses: [common]\nentry: [server.py]\n"
    )
    return folder


def test_holds_the_rendered_dockerfile_the_folder_and_what_it_uses(images_dir: Path, model: Path) -> None:
    context = build_context(images_dir, "model", "debian:x")
    assert list(entries(context.tar)) == ["Dockerfile", "common/shared.py", "model/model.yaml", "model/server.py"]


def test_is_tagged_by_folder_and_digest(images_dir: Path) -> None:
    context = build_context(images_dir, "tiny", "debian:x")
    assert context.tag == f"ceiling/tiny:{context.digest[:12]}"


def test_same_content_is_the_same_bytes_whatever_its_times_and_modes(images_dir: Path) -> None:
    before = build_context(images_dir, "tiny", "debian:x")
    server = images_dir / "tiny" / "server.py"
    os.utime(server, (1, 1))
    server.chmod(0o600)
    assert build_context(images_dir, "tiny", "debian:x") == before


def test_entries_carry_no_time_and_no_owner(images_dir: Path) -> None:
    (images_dir / "tiny" / "tool.sh").write_text("#!/bin/sh\n")
    (images_dir / "tiny" / "tool.sh").chmod(0o711)
    found = entries(build_context(images_dir, "tiny", "debian:x").tar)
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in found.values()} == {(0, 0, 0, "")}
    assert (found["tiny/tool.sh"].mode, found["tiny/server.py"].mode) == (0o755, 0o644)


def test_leaves_out_what_python_leaves_behind(images_dir: Path) -> None:
    before = build_context(images_dir, "tiny", "debian:x")
    (images_dir / "tiny" / "__pycache__").mkdir()
    (images_dir / "tiny" / "__pycache__" / "server.cpython-311.pyc").write_bytes(b"\0")
    assert build_context(images_dir, "tiny", "debian:x") == before


CHANGES: dict[str, Callable[[Path], object]] = {
    "its code": lambda images: (images / "model" / "server.py").write_text("import common.shared as s\n"),
    "the code that it uses": lambda images: (images / "common" / "shared.py").write_text("SHARED = 2\n"),
    "a file's name": lambda images: (images / "common" / "shared.py").rename(images / "common" / "same.py"),
    "a file more": lambda images: (images / "model" / "empty").write_bytes(b""),
    "its template": lambda images: (images / "model" / "Dockerfile.j2").write_text("FROM {{ base }}\n"),
    "a right to be executed": lambda images: (images / "model" / "server.py").chmod(0o755),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_digest_changes_with(images_dir: Path, model: Path, change: Callable[[Path], object]) -> None:
    before = build_context(images_dir, "model", "debian:x").digest, content_digest(images_dir, "model")
    change(images_dir)
    after = build_context(images_dir, "model", "debian:x").digest, content_digest(images_dir, "model")
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_digest_changes_with_the_base(images_dir: Path) -> None:
    (images_dir / "tiny" / "Dockerfile.j2").write_text("FROM scratch\n")
    assert build_context(images_dir, "tiny", "a").digest != build_context(images_dir, "tiny", "b").digest


def test_content_digest_does_not_depend_on_a_base(images_dir: Path) -> None:
    assert content_digest(images_dir, "tiny") == content_digest(images_dir, "tiny")
    assert content_digest(images_dir, "tiny") != build_context(images_dir, "tiny", "debian:x").digest


def test_further_files_enter_it(images_dir: Path) -> None:
    found = entries(build_context(images_dir, "tiny", "debian:x", {"tiny/extra": b"123"}).tar)
    assert found["tiny/extra"].size == 3


VALUES = {
    "a line of its own": "debian\nRUN id",
    "a carriage return": "debian\rRUN id",
    "a line break at its end": "debian\n",
    "a separator that some parsers break at": "debian\u2028RUN id",
    "a form feed": "debian\fRUN id",
    "a NUL": "debian\0",
    "a backslash that joins the next line": "debian\\",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_refuses_a_value_with(images_dir: Path, value: str) -> None:
    with pytest.raises(ImageError, match="take it out"):
        build_context(images_dir, "tiny", value)


@pytest.mark.parametrize("value", ["{{ 7 * 7 }}", "{% include '/etc/passwd' %}", "{# gone #}"])
def test_a_value_never_becomes_template_source(images_dir: Path, value: str) -> None:
    rendered = render(images_dir / "tiny" / "Dockerfile.j2", {"base": value})
    assert rendered.decode().splitlines()[0] == f"FROM {value}"


TEMPLATES = {
    "an unknown value": ("FROM {{ bass }}\n", "'bass' is undefined; the values there are: base"),
    "an open block": ("FROM {{ base }}\n{% if base %}\n", r"Dockerfile\.j2:2: .*correct the template"),
    "an unknown file": ("{% include 'x' %}\n", "Dockerfile.j2: "),
}


@pytest.mark.parametrize(("source", "message"), TEMPLATES.values(), ids=TEMPLATES.keys())
def test_refuses_a_template_with(images_dir: Path, source: str, message: str) -> None:
    (images_dir / "tiny" / "Dockerfile.j2").write_text(source)
    with pytest.raises(ImageError, match=message):
        build_context(images_dir, "tiny", "debian:x")


@pytest.mark.parametrize("name", ["no-such", "../tiny", "tiny/../tiny", "", ".", "Tiny"])
def test_refuses_what_is_no_folder_of_images(images_dir: Path, name: str) -> None:
    with pytest.raises(ImageError, match="there are: base, broken, rabbitmq, tiny"):
        build_context(images_dir, name, "debian:x")


def test_refuses_a_folder_without_a_template(images_dir: Path) -> None:
    (images_dir / "common").mkdir()
    with pytest.raises(ImageError, match=r"Dockerfile\.j2: missing"):
        build_context(images_dir, "common", "debian:x")


def test_refuses_symbolic_links_to_files_and_folders(images_dir: Path, tmp_path: Path) -> None:
    for target in (Path("/etc/passwd"), tmp_path, tmp_path / "nothing"):
        link = images_dir / "tiny" / "link"
        link.symlink_to(target)
        with pytest.raises(ImageError, match="not a regular file"):
            build_context(images_dir, "tiny", "debian:x")
        link.unlink()


def test_refuses_a_linked_folder(images_dir: Path) -> None:
    (images_dir / "linked").symlink_to(images_dir / "tiny")
    with pytest.raises(ImageError, match="no folder 'linked'"):
        build_context(images_dir, "linked", "debian:x")
