"""A copy of images/ that a test may change, and experiments run on it with the product's own code."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from harness import store
from harness.experiment import Settings, run_experiment
from harness.result import TrialResult
from harness.stage import Places
from harness.terminal import Display

ROOT = Path(__file__).resolve().parents[2]
Runtime = Literal["process", "docker"]
Run = Callable[[str, Runtime], list[TrialResult]]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A checkout's folders, with the real images."""
    shutil.copytree(ROOT / "images", tmp_path / "images", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return Places.under(tmp_path)


@pytest.fixture
def run(places: Places, tmp_path: Path) -> Iterator[Run]:
    """Run an experiment from a spec's text; its trials in their order."""
    cores = os.sched_getaffinity(0)

    def run_spec(text: str, runtime: Runtime) -> list[TrialResult]:
        spec = tmp_path / "mine.yaml"
        spec.write_text(text)
        outcome = run_experiment(spec, places, Settings(runtime=runtime), Display())
        assert outcome.report is not None
        return sorted(store.read_trials(outcome.run), key=lambda trial: trial.order)

    yield run_spec
    os.sched_setaffinity(0, cores)
