"""The probe in its image, watching another container by cgroup, on whichever version this host has."""

import io
import json
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import docker
import pytest
from docker.models.containers import Container

from harness.images import connect, ensure_images
from harness.raw import MemoryLook, NetworkLook, Sample
from harness.runtime.docker.runtime import _sight_of_the_host

pytestmark = pytest.mark.docker

IMAGES = Path(__file__).parents[2] / "images"
DEADLINE_S = 30.0
BUSY = "import os; os.fork(); ballast = b'x' * (48 << 20)\nwhile True: pass"


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="module")
def image(client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    built = ensure_images(client, IMAGES, ["probe"], tmp_path_factory.mktemp("logs"), print)
    return built["probe"].id


@pytest.fixture
def busy(client: docker.DockerClient, image: str) -> Iterator[Container]:
    """Two processes that would burn two CPUs, and may use a fifth of one."""
    container = client.containers.run(
        image, ["-c", BUSY], entrypoint=["python3"], detach=True, network_mode="none", cpu_quota=20_000
    )
    yield container
    container.remove(force=True)


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folder = tarfile.TarInfo("ceiling/out")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def await_events(container: Container, name: str, count: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while container.logs().decode().count(f'"event": "{name}"') < count:
        assert time.monotonic() < deadline, container.logs().decode()
        time.sleep(0.05)


def await_throttling(container: Container) -> None:
    """Wait until a quota has held a container back once more, which a busy host may put off."""

    def held_back() -> int:
        stats: Any = container.stats(stream=False)
        return int(stats["cpu_stats"]["throttling_data"]["throttled_time"])

    before, deadline = held_back(), time.monotonic() + DEADLINE_S
    while held_back() <= before:
        assert time.monotonic() < deadline, "the quota held nobody back"


def report_of(container: Container) -> dict[str, Any]:
    stream, _ = container.get_archive("/ceiling/out/probe.json")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        file = tar.extractfile("probe.json")
        assert file is not None
        report: dict[str, Any] = json.load(file)
        return report


@contextmanager
def watching(
    client: docker.DockerClient,
    image: str,
    watched: Container,
    port: int | None = None,
    cgroupns: Literal["host", "private"] = "host",
) -> Iterator[Container]:
    """A probe of one container, with what the Docker runtime gives it; it is ready."""
    watched.reload()
    config = {
        "format": 1,
        "services": {"server": {"pid": watched.attrs["State"]["Pid"], "cgroup": True, "port": port}},
        "watched_cpus": {"here": [0]},
        "interval_s": 0.2,
        "deadline_s": 60.0,
    }
    probe = client.containers.create(image, network_mode="none", **(_sight_of_the_host() | {"cgroupns": cgroupns}))
    try:
        probe.put_archive("/", archive({"ceiling/config.json": json.dumps(config).encode()}))
        probe.start()
        await_events(probe, "ready", 1)
        yield probe
    finally:
        probe.remove(force=True)


def told(probe: Container) -> dict[str, Any]:
    """End it, and read what it wrote."""
    probe.kill("SIGTERM")
    assert probe.wait(timeout=DEADLINE_S)["StatusCode"] == 0, probe.logs()
    return report_of(probe)


@pytest.mark.slow
@pytest.mark.parametrize("cgroupns", ["host", "private"])
def test_another_container_is_found_and_read(
    client: docker.DockerClient, image: str, busy: Container, cgroupns: Literal["host", "private"]
) -> None:
    """In a cgroup namespace of its own the path of another container's cgroup leads nowhere; it is found all the same."""
    with watching(client, image, busy, cgroupns=cgroupns) as probe:
        for count in (1, 2):
            probe.kill("SIGUSR1")
            await_events(probe, "edge", count)
            await_throttling(busy)
        probe.kill("SIGUSR2")
        await_events(probe, "memory", 1)
        report = told(probe)
    first, last = (Sample.model_validate(edge) for edge in report["edges"]["server"])
    (look,) = (MemoryLook.model_validate(look) for look in report["memory"]["server"])
    assert (first.processes, first.threads) == (2, 2)
    assert first.cpu_user_s + first.cpu_system_s < last.cpu_user_s + last.cpu_system_s
    assert first.throttled_s is not None
    assert last.throttled_s is not None
    assert first.throttled_s < last.throttled_s
    assert last.memory_bytes is not None
    assert last.memory_bytes > 48 << 20
    assert look.pss_bytes is not None
    assert look.pss_bytes > 48 << 20
    assert look.cgroup_bytes is not None
    assert look.cgroup_bytes > 48 << 20
    assert look.connections is None  # it has no network, and no port was named
    assert last.child_involuntary_switches is not None
    assert last.child_involuntary_switches > 0
    assert (last.fullest_descriptors or 0) >= 3
    assert (last.descriptor_limit or 0) > 3
    assert last.run_delay_s is None or last.run_delay_s > 0


@pytest.mark.slow
def test_a_memory_limit_that_is_met_is_counted_and_whom_it_killed(client: docker.DockerClient, image: str) -> None:
    """A child that wants more than the container may have is killed; the first process lives, and so the container."""
    limit_bytes = 64 << 20
    script = (
        "import os, time\nif os.fork() == 0:\n    ballast = bytearray(256 << 20)\n    time.sleep(600)\n"
        "os.wait(); print('killed', flush=True)\ntime.sleep(600)"
    )
    greedy = client.containers.create(
        image, ["-c", script], entrypoint=["python3"], mem_limit=limit_bytes, memswap_limit=limit_bytes
    )
    try:
        greedy.start()
        deadline = time.monotonic() + DEADLINE_S
        while b"killed" not in greedy.logs():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with watching(client, image, greedy) as probe:
            probe.kill("SIGUSR1")
            await_events(probe, "edge", 1)
            (edge,) = (Sample.model_validate(edge) for edge in told(probe)["edges"]["server"])
    finally:
        greedy.remove(force=True)
    assert edge.memory_limit_bytes == limit_bytes
    assert edge.memory_limit_hits != 0  # none: a kernel that does not count them
    assert edge.oom_kills == 1


@pytest.mark.slow
def test_the_queue_and_the_counters_are_those_of_the_containers_own_network(
    client: docker.DockerClient, image: str
) -> None:
    """On a bridge: three that nobody accepts wait there, though the probe is elsewhere."""
    script = (
        "import socket, time; one = socket.create_server(('', 80), backlog=5);"
        "waiting = [socket.create_connection(('127.0.0.1', 80)) for _ in range(3)]; print('up', flush=True); time.sleep(600)"
    )
    server = client.containers.create(image, ["-c", script], entrypoint=["python3"], network_mode="bridge")
    try:
        server.start()
        deadline = time.monotonic() + DEADLINE_S
        while b"up" not in server.logs():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with watching(client, image, server, port=80) as probe:
            probe.kill("SIGUSR1")
            await_events(probe, "edge", 1)
            probe.kill("SIGUSR2")
            await_events(probe, "memory", 1)
            report = told(probe)
    finally:
        server.remove(force=True)
    look, *_ = (NetworkLook.model_validate(look) for look in report["network"]["server"])
    assert (look.accept_queue, look.accept_queue_limit) == (3, 5)
    assert (look.listen_overflows, look.time_wait, look.link_bytes_per_s) == (0, 0, None)
    assert report["memory"]["server"][0]["connections"] == 0  # nobody has accepted any
