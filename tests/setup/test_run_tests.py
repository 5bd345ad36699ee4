"""`make test` says what is missing, fails where a part fails, and stops only the engine that it started."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.setup.conftest import ROOT, Checkout

RUNNER = "tests/tools/run_tests.py"
NEEDED = ("chromium", "wrk", "nginx", "shellcheck", "curl")


@pytest.fixture
def runner(checkout: Checkout) -> Checkout:
    """A checkout whose engine script and make only write down that they were called."""
    tools = checkout.path / "tests" / "tools"
    tools.mkdir(parents=True)
    (tools / "run_tests.py").write_text((ROOT / RUNNER).read_text())
    engine = tools / "docker-engine.sh"
    engine.write_text('#!/bin/sh\necho "engine $1" >> calls\n[ ! -e "engine-$1-fails" ]\n')
    engine.chmod(0o755)
    for command in NEEDED:
        checkout.has_only(command, ":")
    checkout.has_only("make", "echo make $* >> calls; [ ! -e make-fails ]")
    checkout.has_only("id", "echo 1000")
    (checkout.path / "tests" / "test_slow.py").write_text(
        "import pytest\n"
        "@pytest.mark.slow\ndef test_slow():\n    open('calls', 'a').write('slow test\\n')\n"
        "@pytest.mark.docker\ndef test_engine():\n    open('calls', 'a').write('engine test\\n')\n"
    )
    (checkout.path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\nmarkers = ['slow', 'docker', 'browser', 'soak']\n"
    )
    return checkout


@pytest.mark.slow
def test_checks_first_then_the_slow_tests_then_those_with_the_engine(runner: Checkout) -> None:
    done = run(runner)
    assert done.returncode == 0, done.stderr
    assert calls(runner) == ["engine start", "make check", "slow test", "engine test", "engine stop"]
    assert "1 passed" in done.stdout


@pytest.mark.slow
def test_a_failed_check_fails_the_whole_but_the_rest_still_runs(runner: Checkout) -> None:
    (runner.path / "make-fails").touch()
    done = run(runner)
    assert done.returncode == 1
    assert calls(runner) == ["engine start", "make check", "slow test", "engine test", "engine stop"]
    assert "failed: make check" in done.stderr


@pytest.mark.slow
def test_no_test_at_all_is_a_failure(runner: Checkout) -> None:
    (runner.path / "tests" / "test_slow.py").unlink()
    assert run(runner).returncode == 1


def test_without_an_engine_it_runs_nothing_and_stops_nothing(runner: Checkout) -> None:
    (runner.path / "engine-start-fails").touch()
    assert run(runner).returncode == 3
    assert calls(runner) == ["engine start"]


@pytest.mark.parametrize(
    "command", [name for name in NEEDED if name != "nginx"]
)  # that one is looked for off PATH, too
def test_a_missing_command_is_named_with_its_remedy(runner: Checkout, command: str) -> None:
    (runner.machine / command).unlink()
    done = run(runner)
    assert done.returncode == 3
    assert command in done.stderr
    assert calls(runner) == []


@pytest.fixture
def interrupted(runner: Checkout) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has come to a test which lasts."""
    (runner.path / "tests" / "test_slow.py").write_text(
        "import pytest, time\n@pytest.mark.slow\ndef test_slow():\n    open('calls', 'a').write('slow test\\n')\n    time.sleep(60)\n"
    )
    process = subprocess.Popen(argv(), cwd=runner.path, env=environment(runner), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while "slow test" not in calls(runner) and time.monotonic() < deadline:
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_still_stops_its_engine(
    runner: Checkout, interrupted: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    interrupted.send_signal(number)
    assert interrupted.wait(timeout=60) == 130
    assert calls(runner)[-1] == "engine stop"


def argv() -> list[str]:
    return [sys.executable, RUNNER, "test"]


def environment(runner: Checkout) -> dict[str, str]:
    return {"PATH": str(runner.machine), "PYTHONDONTWRITEBYTECODE": "1"}


def run(runner: Checkout) -> subprocess.CompletedProcess[str]:
    return runner.run(*argv(), environment=environment(runner))


def calls(runner: Checkout) -> list[str]:
    path = runner.path / "calls"
    return path.read_text().splitlines() if path.exists() else []
