"""Servers that are no folder of images/: a ready image, and a server that runs already.

Nothing is known of them but what a client sees: they have no options, share no handler, and count nothing.
"""

import re
import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from harness.spec.record import Record

TAGS = ("<folder>", "<image>", "<url>")
"""Parts of the paths in pydantic's errors that no key of a file has: which kind of `model` was read."""

_FOLDER = re.compile(r"[a-z][a-z0-9-]{0,59}")
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def folder_name(name: str) -> str:
    """A name that a folder of images/ may have.

    Raises:
        ValueError: it may not; what, and what to do.
    """
    if not _FOLDER.fullmatch(name):
        raise ValueError(
            f"{name[:60]!r} is no model's name; name a folder of images/ (lower-case letters, digits, hyphens)"
        )
    return name


def _reference(image: str) -> str:
    if len(image) > 255 or not _REFERENCE.fullmatch(image):
        raise ValueError(f"{image[:60]!r} is no image's name; write it as for `docker run`, such as `acme/api:1.2`")
    return image


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name[:60]!r} is no variable's name; use letters, digits and `_`, as in `LOG_LEVEL`")
    return name


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL cannot be handed to a program; take it out")
    return text


def origin(url: str) -> str:
    """A URL that names a server, and nothing on it.

    Raises:
        ValueError: it names no server that can be loaded, or more than one; what, and what to do.
    """
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode(
            "idna"
        )  # as whoever resolves it does: an empty label, or one too long, is an error
        named = bool(parts.hostname) and parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError as error:
        raise ValueError(f"`{url[:60]}` is no URL ({error}); write `http://host:port`") from None
    if parts.scheme not in ("http", "https", "stomp") or not named or parts.username is not None:
        raise ValueError(f"`{url[:60]}` is not one that the client can load; write `http://host:port` or `https://…`")
    if parts.path or parts.query or parts.fragment:
        raise ValueError(
            f"`{url[:60]}` has a path; write `{parts.scheme}://{parts.netloc}`, and the path as `request.path`"
        )
    return url


class _Certified(Record):
    """What both kinds say of https."""

    ca: str | None = Field(
        None,
        min_length=1,
        description="PEM file of the certificates to trust, relative to the spec; the system's by default (https only).",
    )
    insecure: bool = Field(
        False, description="Take any certificate. The report says that it was not checked (https only)."
    )

    @property
    def encrypted(self) -> bool:
        """Whether it speaks https."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _fit(self) -> "_Certified":
        if self.ca is not None and self.insecure:
            raise ValueError("`insecure` takes any certificate, so `ca` says nothing; keep one of them")
        if (self.ca is not None or self.insecure) and not self.encrypted:
            raise ValueError("`ca` and `insecure` are for https; remove them, or speak https to the server")
        return self


class ReadyImage(_Certified):
    """A ready image, run as it is: its own entry point, nothing put in. Docker only."""

    image: Annotated[str, AfterValidator(_reference)] = Field(
        description="Name of the image, as for `docker run`; pulled where the engine lacks it."
    )
    port: int = Field(ge=1, le=65535, description="TCP port on which the server in the image answers.")
    env: dict[Annotated[str, AfterValidator(_variable)], Annotated[str, AfterValidator(_no_nul)]] = Field(
        {}, description="Environment variables for the container, beside the image's own."
    )
    command: list[Annotated[str, AfterValidator(_no_nul)]] = Field(
        [], description="Arguments to the image's entry point, instead of its own."
    )
    https: bool = Field(False, description="Whether the server speaks https.")

    @property
    def encrypted(self) -> bool:
        """Whether it speaks https."""
        return self.https

    @property
    def name(self) -> str:
        """What it is called in tables and charts."""
        return self.image

    @property
    def reference(self) -> str:
        """The image's name with its tag or digest, so that it is told apart from a folder of images/."""
        last = self.image.rpartition("/")[2]
        return self.image if ":" in last or "@" in last else f"{self.image}:latest"


class RunningServer(_Certified):
    """A server that runs already, wherever: it is neither started, nor stopped, nor looked into."""

    url: Annotated[str, AfterValidator(origin)] = Field(
        description="Where it answers, `http://host:port` or `https://host:port`; `request.path` says what is asked for."
    )

    @property
    def encrypted(self) -> bool:
        """Whether it speaks https."""
        return self.url.startswith("https:")

    @property
    def name(self) -> str:
        """What it is called in tables and charts."""
        return self.url


Foreign = ReadyImage | RunningServer


def _kind(value: object) -> str:
    if isinstance(value, ReadyImage) or (isinstance(value, dict) and "image" in value):
        return "<image>"
    return "<url>" if isinstance(value, RunningServer | dict) else "<folder>"


def _one_kind(value: object) -> object:
    if isinstance(value, dict) and ("image" in value) == ("url" in value):
        says = "both `image` and `url`" if "url" in value else "neither `image` nor `url`"
        raise ValueError(
            f"a mapping with {says}; write `{{image: NAME, port: 8080}}` or `{{url: http://host:port}}`, or name a folder of images/"
        )
    return value


Server = Annotated[
    Annotated[str, AfterValidator(folder_name), Field(pattern="^[a-z][a-z0-9-]*$"), Tag("<folder>")]
    | Annotated[ReadyImage, Tag("<image>")]
    | Annotated[RunningServer, Tag("<url>")],
    Discriminator(_kind),
    BeforeValidator(_one_kind),
]
"""What `model` may be: the name of a folder of images/, a ready image, or a server that runs already."""


def name_of(server: "str | Foreign") -> str:
    """What a server is called in tables, charts and messages."""
    return server if isinstance(server, str) else server.name


def certificates(path: Path) -> str:
    """The text of a file of certificates that can be trusted.

    Raises:
        ValueError: it cannot be read, or holds none.
    """
    try:
        text = path.read_text("ascii", "ignore")
        ssl.create_default_context(cadata=text)
    except OSError as error:  # ssl.SSLError is one
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"`{path}` cannot be read ({reason})") from None
    return text
