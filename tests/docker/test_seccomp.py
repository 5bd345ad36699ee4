"""A model's own seccomp profile: its server works under it, and what it does not need is forbidden in there."""

import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM
from typing import Any

import docker
import pytest

from harness.errors import HostError, ImageError
from harness.images import ensure_images
from harness.images.stage import seccomp_profile
from harness.ports import free_port
from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.docker import DockerRuntime
from harness.spec.catalogue import load_model
from harness.stage import refuse_unmet_needs
from tests.docker.conftest import ROOT

DEADLINE_S = 30.0
MODEL = "proactor"
HANDLER = {"kind": "body", "body_bytes": 128, "cpu_iterations": 10, "log": "flush", "backend": None, "fault": "none"}

# Each would succeed, or fail for another reason, without the profile: errno by name of the call.
FORBIDDEN_CALLS = """
import ctypes, json, platform
numbers = {
    "x86_64": {"unshare": 272, "ptrace": 101, "mount": 165, "keyctl": 250, "personality": 135, "bpf": 321},
    "aarch64": {"unshare": 97, "ptrace": 117, "mount": 40, "keyctl": 219, "personality": 92, "bpf": 280},
}[platform.machine()]
arguments = {"unshare": (0,), "ptrace": (0, 0, 0, 0), "mount": (0, 0, 0, 0, 0), "keyctl": (0, -4, 1),
             "personality": (0xFFFFFFFF,), "bpf": (0, 0, 0)}
libc = ctypes.CDLL(None, use_errno=True)
def errno_of(name):
    ctypes.set_errno(0)
    return ctypes.get_errno() if libc.syscall(numbers[name], *arguments[name]) < 0 else 0
print(json.dumps({name: errno_of(name) for name in numbers}), flush=True)
"""


@pytest.fixture
def runtime(client: docker.DockerClient, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[DockerRuntime]:
    images = ensure_images(client, ROOT / "images", [MODEL], tmp_path / "logs", print)
    runtime = DockerRuntime(client, images, make_owner(f"test-{request.node.name[:40]}"))
    yield runtime
    runtime.clean()


def config(port: int, processes: int) -> dict[str, Any]:
    network = {"host": "127.0.0.1", "port": port, "backlog": 1024}
    return {"contract": 1, "model": MODEL, **network, "options": {"processes": processes}, "handler": HANDLER}


def ask(port: int) -> int:
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
            connection.request("GET", "/")
            return connection.getresponse().status
        except ConnectionRefusedError:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


@pytest.mark.docker
@pytest.mark.parametrize("processes", [1, 3])
def test_the_server_lives_its_whole_life_under_its_profile(runtime: DockerRuntime, processes: int) -> None:
    port = free_port()
    service = runtime.start(
        ServiceSpec(name="server", role="server", image=MODEL, config=config(port, processes), cores=())
    )
    assert [ask(port) for _ in range(50)] == [200] * 50
    status = Path(f"/proc/{service.main_pid}/status").read_text()
    assert "Seccomp:\t2\n" in status
    service.signal(SIGTERM)
    assert service.wait(DEADLINE_S) == 0
    report = json.loads(service.fetch("exit.json"))
    assert (report["requests"], report["forks"]) == (50, 0 if processes == 1 else processes)
    assert service.fetch("access.log").count(b"\n") == 50


@pytest.mark.docker
def test_what_the_server_does_not_need_is_forbidden(runtime: DockerRuntime) -> None:
    command = ("-c", FORBIDDEN_CALLS)
    service = runtime.start(ServiceSpec(name="calls", role="tool", image=MODEL, config={}, cores=(), command=command))
    forbidden = json.loads(next(service.lines(DEADLINE_S)))
    assert forbidden == dict.fromkeys(("unshare", "ptrace", "mount", "keyctl", "personality", "bpf"), 1)


def test_these_calls_are_not_forbidden_without_it() -> None:
    """Else the test above would show nothing."""
    done = subprocess.run([sys.executable, "-c", FORBIDDEN_CALLS], capture_output=True, check=True, timeout=DEADLINE_S)
    errors = json.loads(done.stdout)
    assert {name: errors[name] for name in ("unshare", "ptrace", "personality")} == {
        "unshare": 0,
        "ptrace": 0,
        "personality": 0,
    }


@pytest.mark.docker
def test_the_harness_may_measure_its_work_loop_there(runtime: DockerRuntime) -> None:
    command = ("-m", "common.calibrate")
    service = runtime.start(
        ServiceSpec(name="calibrate", role="tool", image=MODEL, config={}, cores=(), command=command)
    )
    assert json.loads(next(service.lines(DEADLINE_S)))["iterations_per_us"] > 0


@pytest.mark.docker
def test_needs_that_are_met_are_no_error(runtime: DockerRuntime) -> None:
    refuse_unmet_needs(runtime, {MODEL: load_model(ROOT / "images" / MODEL)})


@pytest.mark.docker
def test_a_profile_that_forbids_the_ring_is_an_error_before_anything_starts(
    client: docker.DockerClient, tmp_path: Path
) -> None:
    images_dir = tmp_path / "images"
    for folder in ("base", "common", MODEL):
        shutil.copytree(ROOT / "images" / folder, images_dir / folder)
    path = images_dir / MODEL / "seccomp.json"
    profile = json.loads(path.read_text())
    for rule in profile["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name != "io_uring_setup"]
    path.write_text(json.dumps(profile))
    images = ensure_images(client, images_dir, [MODEL], tmp_path / "logs", print)
    runtime = DockerRuntime(client, images, make_owner("test-forbidden-ring"))
    try:
        with pytest.raises(HostError) as caught:
            refuse_unmet_needs(runtime, {MODEL: load_model(images_dir / MODEL)})
    finally:
        runtime.clean()
        client.images.remove(images[MODEL].tag)
    assert str(caught.value).startswith("model proactor needs io_uring: ")
    assert "in spite of the model's seccomp profile (EPERM)" in str(caught.value)


def test_the_profile_allows_what_it_names_and_nothing_else() -> None:
    text = seccomp_profile(ROOT / "images" / MODEL)
    assert text is not None
    profile = json.loads(text)
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = [name for rule in profile["syscalls"] for name in rule["names"]]
    assert len(allowed) == len(set(allowed)) < 100
    assert {"io_uring_setup", "io_uring_enter", "io_uring_register"} < set(allowed)
    assert not set(allowed) & {"ptrace", "mount", "unshare", "setns", "keyctl", "bpf", "clone3", "connect", "accept4"}


def test_a_profile_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "model.yaml").write_text(
        "title: Broken\naxes: {connections: one, requests: one}\ncounts: none\nseccomp: profile.json\n"
    )
    (folder / "profile.json").write_text("{")
    with pytest.raises(ImageError, match=r"profile\.json: not JSON"):
        seccomp_profile(folder)
