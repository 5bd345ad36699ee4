"""The script that brings an engine for the tests: starts one where there is none, stops only what it started."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "docker-engine.sh"
PID_1_IN_A_HOST_OF_ITS_OWN = ("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "bash", "-eu", "-c")

# No engine is seen from here, and none outside is touched: /run, the data and the network are this test's own.
OWN_HOST = """
mount -t tmpfs none /run
mkdir -p /var/lib/ceiling-engine
mount -t tmpfs none /var/lib/ceiling-engine
ip link set lo up
ping() { curl -s --max-time 5 --unix-socket /var/run/docker.sock http://docker/_ping; }
"""


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    return subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False, env=environment)


def in_a_host_of_its_own(script: str) -> list[str]:
    done = run(*PID_1_IN_A_HOST_OF_ITS_OWN, OWN_HOST + script, "bash", str(SCRIPT))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may start an engine")


@pytest.mark.docker
@pytest.mark.slow
@root_only
def test_starts_an_engine_and_stops_it_with_the_last_user() -> None:
    said = in_a_host_of_its_own("$1 start; ping; echo; $1 start; $1 stop; ping; echo; $1 stop; ping || echo gone")
    assert [line for line in said if not line.startswith("docker-engine: starting")] == [
        "docker-engine: the engine answers",
        "OK",
        "docker-engine: the engine that this script started runs already",
        "docker-engine: the engine stays, another start still counts on it",
        "OK",
        "docker-engine: the engine that this script started is stopped",
        "gone",
    ]


@pytest.mark.docker
@pytest.mark.slow
@root_only
def test_leaves_an_engine_that_somebody_else_started() -> None:
    said = in_a_host_of_its_own(
        "setsid dockerd --data-root /var/lib/ceiling-engine/data > /var/lib/ceiling-engine/log 2>&1 &"
        " until ping > /dev/null; do sleep 0.2; done; $1 start; $1 stop; ping; echo; kill $!; wait $! || true"
    )
    assert said == ["docker-engine: an engine runs already; it is left as it is", "OK"]


@pytest.mark.docker
@pytest.mark.slow
@root_only
def test_says_why_a_daemon_did_not_start() -> None:
    said = in_a_host_of_its_own("mkdir -p /run/docker.sock; $1 start 2>&1 || echo status $?; $1 stop")
    assert "docker-engine: dockerd ended at once; see the end of /var/lib/ceiling-engine/dockerd.log: " in said[-2]
    assert said[-1] == "status 3"


def test_names_the_engine_that_does_not_answer() -> None:
    environment = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    done = subprocess.run([SCRIPT, "start"], capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert done.returncode == 3
    assert done.stderr == (
        "docker-engine: no engine answers at DOCKER_HOST=unix:///nowhere/docker.sock; start that one, or unset DOCKER_HOST\n"
    )


@pytest.mark.parametrize("arguments", [[], ["restart"]])
def test_takes_start_and_stop(arguments: list[str]) -> None:
    done = run(str(SCRIPT), *arguments)
    assert (done.returncode, done.stderr) == (2, f"usage: {SCRIPT} start|stop\n")
