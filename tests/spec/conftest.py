"""A small folder of models, and specs written into files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.spec.experiment import Experiment
from harness.spec.load import load_experiment

MODEL = """\
title: {name}
axes: {{connections: a connection each, requests: one by one}}
counts: exact
uses: [common]
entry: [server.py]
options:
{options}
"""
OPTIONS = {
    "ppc": "  {}",
    "reactor": """\
  variant: {type: choice, default: single, choices: [single, multi], says: How many loops.}
  batch: {type: integer, default: 64, minimum: 1, maximum: 1024, says: Events taken at once.}""",
    "prefork": """\
  workers: {type: integer, default: 4, minimum: 1, maximum: 512, says: Number of processes.}
  accept: {type: choice, default: plain, choices: [plain, epoll], says: How workers wait.}
  pinned: {type: boolean, default: false, says: Whether workers are pinned.}
  name: {type: string, default: w, says: What workers are called.}""",
}


def write_model(images: Path, name: str, text: str) -> Path:
    """A folder of a model with this `model.yaml`."""
    folder = images / name
    folder.mkdir(parents=True)
    (folder / "server.py").write_text("")
    (folder / "model.yaml").write_text(text)
    return folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models: one without options, one with few, one with one of each kind."""
    images = tmp_path_factory.mktemp("images")
    (images / "common").mkdir()
    for name, options in OPTIONS.items():
        write_model(images, name, MODEL.format(name=name, options=options))
    return images


Load = Callable[[str | bytes], Experiment]


@pytest.fixture
def load(tmp_path: Path, images: Path) -> Load:
    """The public loader, from text."""

    def from_text(text: str | bytes) -> Experiment:
        path = tmp_path / "spec.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_experiment(path, images)

    return from_text
