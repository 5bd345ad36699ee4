"""Runs made up for the tests of this folder."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analysis.study import Study, make_study
from tests.tools.synthetic import Shape, make_run


@pytest.fixture
def study_of(tmp_path: Path) -> Callable[[Shape], Study]:
    """Make a run of a shape and digest it."""
    numbers = itertools.count(1)
    return lambda shape: make_study(make_run(tmp_path / f"run-{next(numbers)}", shape))
