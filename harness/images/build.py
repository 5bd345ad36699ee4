"""One image: there already, or built now, with all output kept and a failure told in full."""

import io
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from harness.errors import ImageError
from harness.images.context import Context

SILENCE_DEADLINE_S = 300  # a step that prints nothing for so long hangs
LAST_LINES = 20

LABEL_FOLDER = "ceiling.folder"
LABEL_DIGEST = "ceiling.digest"
LABEL_ROUTE = "ceiling.base.route"  # inherited by every image built on the base

Say = Callable[[str], None]


@dataclass(frozen=True)
class ImageInfo:
    """An image that the engine has."""

    folder: str
    tag: str
    id: str
    digest: str  # of its content and its base
    route: str  # where its base image came from
    built: bool  # by this call
    seconds: float
    seccomp: str | None = None  # JSON of the profile that its containers run under; none: the engine's own


def find_image(client: docker.DockerClient, context: Context) -> ImageInfo | None:
    """The image of this content, if the engine has it. One request."""
    began = time.monotonic()
    try:
        found = client.images.get(context.tag)
    except ImageNotFound:
        return None
    if found.labels.get(LABEL_DIGEST) != context.digest:  # somebody else's image under this tag
        return None
    route = found.labels.get(LABEL_ROUTE, "")
    return ImageInfo(context.folder, context.tag, str(found.id), context.digest, route, False, time.monotonic() - began)


def build_image(
    client: docker.DockerClient,
    context: Context,
    log: Path,
    *,
    tar: bytes | None = None,
    labels: Mapping[str, str] | None = None,
    arguments: Mapping[str, str] | None = None,
) -> ImageInfo:
    """Build an image; it gets its tag only when every step has succeeded.

    Args:
        client: of the engine that builds.
        context: what to build, and the digest that names it.
        log: file that all output goes to.
        tar: archive to send in place of the context's own.
        labels: of the image, beside folder and digest.
        arguments: build arguments.

    Raises:
        ImageError: a step failed, with its last output, or the engine broke off.
    """
    began = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        events = client.api.build(
            fileobj=io.BytesIO(tar or context.tar),
            custom_context=True,
            tag=context.tag,
            labels={LABEL_FOLDER: context.folder, LABEL_DIGEST: context.digest, **(labels or {})},
            buildargs=dict(arguments or {}),
            network_mode="host",  # the host's own names and proxies, which may be on its loopback
            rm=True,
            forcerm=True,
            decode=True,
            timeout=SILENCE_DEADLINE_S,
        )
        _follow(context.folder, events, log)
    except (DockerException, RequestException) as error:
        raise ImageError(f"image {context.folder}: the engine broke the build off: {error}; see {log}") from None
    found = find_image(client, context)
    if found is None:
        raise ImageError(f"image {context.folder}: the engine built it, and does not have it; see {log}, build again")
    return ImageInfo(found.folder, found.tag, found.id, found.digest, found.route, True, time.monotonic() - began)


def _follow(folder: str, events: Iterable[Mapping[str, Any]], log: Path) -> None:
    step, last = "before the first step", deque[str](maxlen=LAST_LINES)
    with log.open("w", encoding="utf-8") as file:
        for event in events:
            text = str(event.get("stream") or event.get("error") or "")
            file.write(text)
            last.extend(line for line in text.splitlines() if line.strip())
            if text.startswith("Step "):
                step = text.strip()
            if "error" in event:
                output = "\n".join(f"    {line}" for line in last)
                raise ImageError(f"image {folder}: the build failed at: {step}\n{output}\n  all of its output: {log}")
