"""Fixtures of the model tests: every test here runs against every model."""

from pathlib import Path

import pytest

from tests.models.support import http_models


@pytest.fixture(params=http_models())
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "service"
