"""The command as a person runs it, on specs of its own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Command = Callable[..., "subprocess.CompletedProcess[str]"]

SMALL = """\
version: 1
title: Is everything there?
base:
  model: reactor
  load: {connections: 4, warmup: 50 ms, window: 300 ms}
factors:
  model: [ppc, tpc, reactor]
repeats: 1
"""


@pytest.fixture
def harness() -> Command:
    """Run `harness …` and give what became of it."""

    def run(*arguments: object, timeout_s: float = 100) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "harness", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return run
