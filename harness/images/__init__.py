"""Template to context to image: rendered, tagged by content, built only when the content is new.

The road of an image: `context` renders a folder of images/ into a deterministic archive and its digest, `base` finds
or makes the one image that all others start from, `build` builds what the engine does not have yet. `ready` images are
taken as they are. `distribute` sees that every host of a run has the same ones.
"""

from harness.images.build import ImageInfo
from harness.images.context import Context, build_context, content_digest
from harness.images.distribute import Engine, ensure_everywhere
from harness.images.engine import connect
from harness.images.ready import ready_images
from harness.images.stage import ensure_images

__all__ = [
    "Context",
    "Engine",
    "ImageInfo",
    "build_context",
    "connect",
    "content_digest",
    "ensure_everywhere",
    "ensure_images",
    "ready_images",
]
