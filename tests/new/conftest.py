"""A copy of images/ that a test may change, and experiments run on it with the product's own code."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from harness import store
from harness.experiment import Settings, run_experiment
from harness.result import TrialResult
from harness.stage import Places
from harness.terminal import Display
from tests.run.conftest import harness

__all__ = ["harness"]  # the command as a person runs it

ROOT = Path(__file__).resolve().parents[2]
NAME = f"mine-{os.getpid()}"  # of experiments: two of one name cannot begin in the same second
Runtime = Literal["process", "docker"]
Run = Callable[[str, Runtime], list[TrialResult]]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A checkout's folders, with the real images."""
    shutil.copytree(ROOT / "images", tmp_path / "images", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return Places.under(tmp_path)


def run_in(folder: Path, places: Places, text: str, runtime: Runtime) -> list[TrialResult]:
    """Run an experiment from a spec's text; its trials in their order."""
    cores = os.sched_getaffinity(0)
    spec = folder / f"{NAME}.yaml"
    spec.write_text(text)
    try:
        outcome = run_experiment(spec, places, Settings(runtime=runtime), Display())
    finally:
        os.sched_setaffinity(0, cores)  # a run leaves the server's cores alone, and a test goes on
    assert outcome.report is not None
    return sorted(store.read_trials(outcome.run), key=lambda trial: trial.order)


@pytest.fixture
def run(places: Places, tmp_path: Path) -> Run:
    """Run an experiment on the copy of images/."""
    return lambda text, runtime: run_in(tmp_path, places, text, runtime)
