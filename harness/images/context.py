"""A folder of images/ as a build context: the same bytes from the same content, on every machine.

Names are sorted, times and owners are zero, modes are one of two, and what Python leaves behind is left out. So the
digest of a context names what is in it, and nothing else.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from harness.errors import ImageError
from harness.spec.catalogue import load_model

TEMPLATE = "Dockerfile.j2"
MODEL_FILE = "model.yaml"
TAG_DIGITS = 12

_FOLDER = re.compile(r"[a-z][a-z0-9-]*")
_COPIED = re.compile(r"^COPY ([a-z][a-z0-9-]*) /srv/", re.MULTILINE)
_ENDS_A_LINE = re.compile(r"[\x00\n\r\v\f\x1c-\x1e\x85\u2028\u2029]|\\\Z")


@dataclass(frozen=True)
class Context:
    """What the engine is sent to build one image."""

    folder: str
    tar: bytes
    digest: str  # sha256 of the archive and the base image, hexadecimal

    @property
    def tag(self) -> str:
        """The image's name: the folder, and the content by its digest."""
        return f"ceiling/{self.folder}:{self.digest[:TAG_DIGITS]}"


def build_context(images_dir: Path, folder: str, base: str, extra: Mapping[str, bytes] | None = None) -> Context:
    """The build context of a folder, laid out like images/ itself, with the rendered Dockerfile at its top.

    Args:
        images_dir: the folder of all images.
        folder: which of them.
        base: image that it starts from, an id or a reference; enters the digest.
        extra: further files by their path in the context.

    Raises:
        ImageError: there is no such folder, it holds a symbolic link, or its template or a value does not fit.
        SpecError: its model.yaml is wrong.
    """
    template = _folder(images_dir, folder) / TEMPLATE
    if not template.is_file():
        raise ImageError(f"{template}: missing; a folder of {images_dir.name}/ that becomes an image needs one")
    files = {"Dockerfile": (render(template, {"base": base}), 0o644)}
    for name in sorted({folder, *_uses(images_dir / folder)}):
        files |= {path: entry for path, entry in _files(images_dir, name) if not path.endswith(f"/{TEMPLATE}")}
    files |= {path: (data, 0o644) for path, data in (extra or {}).items()}
    tar = _archive(files)
    return Context(folder, tar, hashlib.sha256(tar + base.encode()).hexdigest())


def content_digest(images_dir: Path, folder: str) -> str:
    """Digest of a folder's content alone, whatever image it would start from: what a plain process runs.

    Raises:
        ImageError: as `build_context`.
        SpecError: its model.yaml is wrong.
    """
    return build_context(images_dir, folder, "none").digest


def render(template: Path, values: Mapping[str, str]) -> bytes:
    """Fill a Dockerfile template in. Values are data: none can become a line, or a template, of its own.

    Raises:
        ImageError: a value breaks the line, or the template is wrong or asks for a value that there is not.
    """
    for name, value in values.items():
        if _ENDS_A_LINE.search(value):
            raise ImageError(
                f"{template}: the value of {name} is {value!r}; a value with a line break, a NUL or a closing "
                "backslash could write a line of its own into the Dockerfile; take it out"
            )
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({}),  # a template stands alone
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - a Dockerfile has no HTML to escape
        keep_trailing_newline=True,
    )
    try:
        return environment.from_string(template.read_text("utf-8")).render(values).encode()
    except jinja2.TemplateSyntaxError as error:
        raise ImageError(f"{template}:{error.lineno}: {error.message}; correct the template") from None
    except (jinja2.TemplateError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(values))
        raise ImageError(f"{template}: {error}; the values there are: {known}") from None


def _folder(images_dir: Path, name: str) -> Path:
    path = images_dir / name
    if not _FOLDER.fullmatch(name) or path.is_symlink() or not path.is_dir():
        there = ", ".join(sorted(found.parent.name for found in images_dir.glob(f"*/{TEMPLATE}")))
        raise ImageError(f"{images_dir.name}/ has no folder {name!r}; there are: {there}")
    return path


def _uses(folder: Path) -> tuple[str, ...]:
    """What a model says that it uses; of a folder that is no model, what its Dockerfile copies."""
    if (folder / MODEL_FILE).is_file():
        return load_model(folder).uses
    return tuple(_COPIED.findall((folder / TEMPLATE).read_text("utf-8")))


def _files(images_dir: Path, name: str) -> Iterator[tuple[str, tuple[bytes, int]]]:
    """Every file of a folder: its path in the context, its content and its mode."""
    for path in sorted(_folder(images_dir, name).rglob("*")):
        inner = path.relative_to(images_dir)
        if "__pycache__" in inner.parts or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink() or not path.is_file():
            raise ImageError(f"{path}: not a regular file; a build context is made of files alone, put a copy there")
        executable = path.stat().st_mode & 0o100
        yield inner.as_posix(), (path.read_bytes(), 0o755 if executable else 0o644)


def _archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, (data, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
