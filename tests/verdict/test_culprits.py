"""Every wall that can be run into here, run into: a real server, a real load, and the verdict of the trial.

Other work on these cores adds culprits of its own, and may come first; what is provoked has to be named all the same.
"""

import contextlib
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from harness.result import TrialResult
from harness.stage import Places
from tests.verdict.conftest import ROOT, SPEC, Provoke, evidence_of, named, server_core

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CHURN = "lifetime: per-request, warmup: 200 ms, window: 2 s, timeout: 1 s"
KEPT = "warmup: 200 ms, window: 2 s, timeout: 1 s"
WORK = "handler: {cpu: 300 us}"


def burner(cpu: int) -> Callable[[threading.Event], None]:
    """Four processes that want all of one CPU; the server, where it is elsewhere, gets its own."""

    def burn(over: threading.Event) -> None:
        command = ["taskset", "--cpu-list", str(cpu), sys.executable, "-c", "while True: pass"]
        running = [subprocess.Popen(command, start_new_session=True) for _ in range(4)]
        if cpu != server_core():
            favour_server(over)
        over.wait()
        for process in running:
            process.kill()
            process.wait()

    return burn


def started_here() -> Iterator[tuple[int, bytes]]:
    """Processes that this one has started, from whichever thread: id and command line."""
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in map(int, children.read_text().split()):
            with contextlib.suppress(OSError):
                yield pid, Path(f"/proc/{pid}/cmdline").read_bytes()


def favour_server(over: threading.Event) -> None:
    """Let the server have its core, whoever else works on this machine; where that is not allowed, nobody else should."""
    while not over.wait(0.05):
        for pid, line in started_here():
            if b"server.py" in line:
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, pid, -20)
                    Path(f"/proc/{pid}/autogroup").write_text("-20")  # a session's processes count as one, if so set


def quota(over: threading.Event) -> None:
    """A CPU quota of 0.3 cores for every server of ours that comes up."""
    engine = docker.from_env()
    with contextlib.closing(engine):
        while not over.wait(0.1):
            for container in engine.containers.list(filters={"label": f"ceiling.pid={os.getpid()}"}):
                if (container.name or "").endswith("base.r1"):
                    with contextlib.suppress(docker.errors.APIError):  # it has just ended
                        container.update(cpu_period=100_000, cpu_quota=30_000)


def fewer_files(over: threading.Event) -> None:
    """A load client that is told, once its connections are open, that it may have hardly any file open."""
    while not over.wait(0.05):
        for pid, line in started_here():
            with contextlib.suppress(OSError):
                if b"-client" in line and len(list(Path(f"/proc/{pid}/fd").iterdir())) > 32:
                    over.wait(0.5)
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, (24, 4_096))
                    return


@pytest.mark.docker
def test_memory(provoke: Provoke) -> None:
    base = f"{{model: walls, options: {{wall: memory}}, limits: {{memory: 64 MiB}}, load: {{connections: 4, {KEPT}}}}}"
    trial = provoke(base, "memory", "docker")
    assert named(trial)[0] == "memory"
    assert "for memory (its limit of 64 MiB)" in evidence_of(trial, "memory")
    assert trial.state == "marked"


@pytest.mark.docker
def test_a_server_that_the_kernel_killed_for_memory_fails_its_trial_and_says_so(provoke: Provoke) -> None:
    base = f"{{model: walls, options: {{wall: memory-alone}}, limits: {{memory: 64 MiB}}, load: {{connections: 4, {KEPT}}}}}"
    trial = provoke(base, "killed by the kernel", "docker")
    assert trial.state == "failed"
    assert "killed by the kernel at its memory limit of 67108864 bytes" in (trial.reason or "")


def test_open_files(provoke: Provoke) -> None:
    trial = provoke(f"{{model: walls, options: {{wall: files}}, load: {{connections: 40, {KEPT}}}}}", "open files")
    assert named(trial)[0] == "open files"
    assert "24 of the 24 files open" in evidence_of(trial, "open files")
    assert trial.state == "marked"


def test_ports(places: Places, tmp_path: Path) -> None:
    base = f"{{model: walls, options: {{wall: ports}}, load: {{connections: 4, {CHURN}}}}}"
    (tmp_path / "spec.yaml").write_text(SPEC.format(base=base))
    command = ["unshare", "--net", sys.executable, "-m", "tests.verdict.alone", str(tmp_path), "64"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    trial = TrialResult.model_validate_json(done.stdout.splitlines()[-1])
    assert named(trial)[0] == "ports"
    assert "found no free port on the client" in evidence_of(trial, "ports")
    assert trial.state == "invalid"


def test_client_files(provoke: Provoke) -> None:
    trial = provoke(f"{{model: reactor, load: {{connections: 32, {CHURN}}}}}", "client files", meanwhile=fewer_files)
    assert named(trial)[0] == "client files"
    assert "limit of open files (EMFILE)" in evidence_of(trial, "client files")
    assert trial.state == "invalid"


def test_listen_queue(provoke: Provoke) -> None:
    base = "{model: walls, options: {wall: late-accept}, load: {connections: 32, lifetime: per-request, warmup: 200 ms, window: 3 s, timeout: 2 s}}"
    trial = provoke(base, "listen queue")
    said = evidence_of(trial, "listen queue")
    assert "listen queue overflows" in said
    assert "of 2 that may" in said
    assert "counters of the whole host" in said


def test_worker_pool_without_a_backend(provoke: Provoke) -> None:
    trial = provoke(f"{{model: sleepers, load: {{connections: 12, {CHURN}}}}}", "worker pool")
    said = evidence_of(trial, "worker pool")
    assert "waited to be accepted" in said
    assert "3 workers" in said
    assert "while the server had CPU left" in said


@pytest.mark.docker
def test_throttling(provoke: Provoke) -> None:
    trial = provoke(f"{{model: reactor, {WORK}, load: {{connections: 8, {KEPT}}}}}", "throttling", "docker", quota)
    assert "the CPU quota held the server back" in evidence_of(trial, "throttling")


def test_run_queue(provoke: Provoke) -> None:
    base = f"{{model: reactor, {WORK}, load: {{connections: 8, {KEPT}}}}}"
    trial = provoke(base, "run queue", meanwhile=burner(server_core()))
    assert "others ran on the server's cores" in evidence_of(trial, "run queue")
    assert next(check for check in trial.checks if check.name == "quiet").passed is False


def test_client_cpu(provoke: Provoke) -> None:
    base = f"{{model: reactor, load: {{connections: 64, {KEPT}}}}}"
    trial = provoke(base, "client cpu", meanwhile=burner(min(os.sched_getaffinity(0))))
    assert "stood ready to run" in evidence_of(trial, "client cpu")


def test_server_cpu(provoke: Provoke) -> None:
    trial = provoke(
        f"{{model: reactor, {WORK}, load: {{connections: 8, {KEPT}}}}}", "server cpu", meanwhile=favour_server
    )
    assert "server CPU" in evidence_of(trial, "server cpu")


def test_client_lag(provoke: Provoke) -> None:
    base = f"{{model: reactor, load: {{kind: open, rate: 2000/s, connections: 8, {KEPT}}}}}"
    trial = provoke(base, "client lag", meanwhile=burner(min(os.sched_getaffinity(0))))
    assert "p99 of the send lag is" in evidence_of(trial, "client lag")
    assert trial.state == "invalid"


def test_an_idle_server_is_nobodys_limit(provoke: Provoke) -> None:
    trial = provoke(f"{{model: reactor, load: {{kind: open, rate: 50/s, connections: 8, {KEPT}}}}}", "nobody")
    assert named(trial) == ["nobody"]


def test_a_server_that_stops_answering(provoke: Provoke) -> None:
    trial = provoke(f"{{model: walls, options: {{wall: hang}}, load: {{connections: 8, {KEPT}}}}}", "errors")
    assert "timeout" in evidence_of(trial, "errors")
    steady = next(check for check in trial.checks if check.name == "steady")
    assert steady.passed is False
    assert "no right answer came" in steady.detail or "no answer came for" in steady.detail
