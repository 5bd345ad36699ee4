"""The image stage of a run: every image that it needs, built side by side where they are new."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from harness.errors import ImageError
from harness.images.base import BASE, ensure_base
from harness.images.build import ImageInfo, Say, build_image, find_image
from harness.images.context import MODEL_FILE, Context, build_context
from harness.images.settings import Settings
from harness.spec.catalogue import load_model

BUILDS_AT_ONCE = 4
INSTALLER = "install.sh"  # of the base: what images install Debian's packages with


def ensure_images(
    client: docker.DockerClient, images_dir: Path, folders: Sequence[str], log_dir: Path, say: Say
) -> dict[str, ImageInfo]:
    """The images of these folders and of the base, by folder; built where their content is new.

    Args:
        client: of the engine that is to have them.
        images_dir: the folder of all images.
        folders: which of them.
        log_dir: where the output of each build is kept, as `<folder>.log`.
        say: told what is being built, and how long it took.

    Raises:
        ImageError: a folder makes no context, or an image does not build; all that failed, in one go.
        SpecError: a model.yaml is wrong.
    """
    settings = Settings.from_environment()
    try:
        base = ensure_base(client, images_dir, settings, log_dir, say)
        contexts = [build_context(images_dir, folder, base.id) for folder in dict.fromkeys(folders) if folder != BASE]
        profiles = {context.folder: seccomp_profile(images_dir / context.folder) for context in contexts}
        trusting = {context.folder: _trusting(context, images_dir, base.id, settings) for context in contexts}
        built = _ensure_all(client, contexts, trusting, settings, log_dir, say)
        return {BASE: base} | {folder: replace(image, seccomp=profiles[folder]) for folder, image in built.items()}
    except (DockerException, RequestException) as error:
        raise ImageError(f"images: the engine does not answer as it should: {error}") from None


def seccomp_profile(folder: Path) -> str | None:
    """The seccomp profile that a model ships, as JSON; None where it ships none.

    Raises:
        ImageError: it is not JSON.
        SpecError: its model.yaml is wrong.
    """
    name = load_model(folder).seccomp if (folder / MODEL_FILE).is_file() else None
    if name is None:
        return None
    try:
        return json.dumps(json.loads((folder / name).read_bytes()))
    except ValueError as error:
        raise ImageError(f"{folder / name}: not JSON: {error}; correct the profile") from None


def _trusting(context: Context, images_dir: Path, base: str, settings: Settings) -> bytes | None:
    """The archive of an image that installs packages, with the certificates to trust meanwhile, which enter no digest."""
    if settings.ca_bundle is None:
        return None
    with tarfile.open(fileobj=io.BytesIO(context.tar)) as archive:
        if f"{BASE}/{INSTALLER}" not in archive.getnames():
            return None
    return build_context(images_dir, context.folder, base, settings.certificates()).tar


def _ensure_all(
    client: docker.DockerClient,
    contexts: Sequence[Context],
    tars: Mapping[str, bytes | None],
    settings: Settings,
    log_dir: Path,
    say: Say,
) -> dict[str, ImageInfo]:
    def ensure(context: Context) -> ImageInfo:
        found = find_image(client, context)
        if found is not None:
            return found
        say(f"image {context.folder}: building …")
        log = log_dir / f"{context.folder}.log"
        built = build_image(client, context, log, tar=tars[context.folder], arguments=settings.installing_arguments())
        say(f"image {context.folder}: built in {built.seconds:.1f} s")
        return built

    with ThreadPoolExecutor(BUILDS_AT_ONCE) as pool:
        ensuring = [pool.submit(ensure, context) for context in contexts]
    failures = [str(error) for future in ensuring if isinstance(error := future.exception(), ImageError)]
    if failures:
        raise ImageError("\n".join(failures))
    return {context.folder: future.result() for context, future in zip(contexts, ensuring, strict=True)}
