"""No file of the project knows the machine on which it was written, nor whom packages came from."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.documents import ROOT, project_files

HOMES = re.compile(r"(?<![\w.])/(?:home|Users|root)/\w")
REGISTRIES = re.compile(
    r"\b(?:(?:pypi|pythonhosted|npmjs|debian-mirror)\.org|(?:ghcr|quay|gcr|(?:registry-1|index|hub)\.docker)\.(?:io|com))\b"
)


def findings(text: str) -> list[str]:
    """What in a text names a person's folder, a registry, this checkout or this machine's index."""
    found = HOMES.findall(text) + REGISTRIES.findall(text)
    return found + [word for word in _of_this_machine() if word in text]


def _of_this_machine() -> list[str]:
    index = urlsplit(os.environ.get("PIP_INDEX_URL", "")).hostname
    places = [str(path) for path in (ROOT, Path.home()) if len(path.parts) > 2]  # `/src` alone may mean anything
    return places + ([index] if index else [])


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = {str(path.relative_to(ROOT)): findings(_text(path)) for path in project_files()}
    assert {path: words for path, words in found.items() if words} == {}


@pytest.mark.parametrize("user", ["home", "Users", "root"])
def test_a_persons_folder_is_recognised(user: str) -> None:
    assert findings(f"see /{user}/someone/log.txt")


def test_a_registry_and_this_checkout_are_recognised() -> None:
    assert findings("https://" + ".".join(["pypi", "org"]) + "/simple")
    assert findings(".".join(["ghcr", "io"]) + "/someone/image")


@pytest.mark.parametrize("text", ["/rooted", "debian:trixie-slim", "apt-get install docker.io", "GET /home HTTP/1.1"])
def test_what_only_looks_alike_is_not(text: str) -> None:
    assert findings(text) == []
