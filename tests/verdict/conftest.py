"""Experiments on a copy of images/ with a server that runs into walls, and something done to it meanwhile."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.result import TrialResult
from harness.stage import Places
from tests.new.conftest import Runtime, run_in

ROOT = Path(__file__).resolve().parents[2]
SPEC = """\
version: 1
title: Who gives out?
repeats: 1
base: {base}
"""
TRIES = 3
Meanwhile = Callable[[threading.Event], None]
Provoke = Callable[..., TrialResult]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A checkout's folders: the real images, and servers that run into walls."""
    shutil.copytree(ROOT / "images", tmp_path / "images", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for folder in (Path(__file__).parent / "images").iterdir():
        shutil.copytree(folder, tmp_path / "images" / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    return Places.under(tmp_path)


@pytest.fixture
def provoke(places: Places, tmp_path: Path) -> Provoke:
    """Run a trial, while something goes on beside it until the event is set; again where others had the machine meanwhile.

    What is to be seen needs a server and a client that get a turn: on cores that others use up, that is what the verdict
    says instead, and rightly.
    """

    def run(base: str, seen: str, runtime: Runtime = "process", meanwhile: Meanwhile | None = None) -> TrialResult:
        for _ in range(TRIES):
            over = threading.Event()
            beside = threading.Thread(target=meanwhile, args=(over,)) if meanwhile else None
            if beside is not None:
                beside.start()
            try:
                (trial,) = run_in(tmp_path, places, SPEC.format(base=base), runtime)
            finally:
                over.set()
                if beside is not None:
                    beside.join()
            if seen in named(trial) or seen in (trial.reason or ""):
                break
        return trial

    return run


def named(trial: TrialResult) -> list[str]:
    """Every culprit of the verdict, in order."""
    if trial.verdict is None:
        return []
    return [trial.verdict.limited_by, *(suspect.limited_by for suspect in trial.verdict.also)]


def evidence_of(trial: TrialResult, culprit: str) -> str:
    """What the verdict says of one of them."""
    assert trial.verdict is not None
    return next(found.evidence for found in (trial.verdict, *trial.verdict.also) if found.limited_by == culprit)


def server_core() -> int:
    """Where a server of one core runs: the highest CPU."""
    return max(os.sched_getaffinity(0))
