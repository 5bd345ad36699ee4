"""The warden: a host belongs to one run at a time, and the load of a controller that is gone ends with its lease."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import docker
import pytest
from docker.errors import NotFound
from docker.models.containers import Container

from harness.errors import HostError, RuntimeUnavailable
from harness.hosts.ssh import SshConnection
from harness.images import ImageInfo, ensure_images
from harness.runtime.base import Owner, ServiceSpec, make_owner
from harness.runtime.docker import DockerRuntime, warden
from harness.runtime.docker.over_ssh import connect_over
from harness.runtime.docker.warden import Warden, hold
from tests.afar.conftest import HOST
from tests.docker.conftest import ROOT
from tests.ssh.sshd import Sshd

pytestmark = [pytest.mark.docker, pytest.mark.slow]

DEADLINE_S = 30.0
SPEC = ServiceSpec(name="load", role="client", image="tiny", config={"do": "wait"}, cores=())
CONTROLLER = """
import sys
from dataclasses import replace
from types import SimpleNamespace
from harness.images import connect
from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.docker import DockerRuntime, warden
name, run, host, lease_s, warden_id, tiny_id = sys.argv[1:]
warden.NAME = name
owner = make_owner(run)
owner = replace(owner, host=host) if host else owner
client = connect()
held = warden.hold(client, warden_id, owner, "here", lease_s=float(lease_s))
image = SimpleNamespace(id=tiny_id, tag="", digest="", route="", seccomp=None)
runtime = DockerRuntime(client, {"tiny": image}, owner)
for role in ("server", "client"):
    runtime.start(ServiceSpec(name=role, role=role, image="tiny", config={"do": "wait"}, cores=()))
print("started", flush=True)
sys.stdin.read()
"""

Controller = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def warden_id(here: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    built = ensure_images(here, ROOT / "images", ["warden"], tmp_path_factory.mktemp("logs"), print)
    return built["warden"].id


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch, here: docker.DockerClient) -> Iterator[str]:
    """The lock of this test alone: other tests hold this machine's engine at the same time."""
    name = f"ceiling-warden-test-{os.getpid()}"
    monkeypatch.setattr(warden, "NAME", name)
    yield name
    for container in here.containers.list(all=True, filters={"name": name}):
        remove(container)


@pytest.fixture
def owner(request: pytest.FixtureRequest, here: docker.DockerClient) -> Iterator[Owner]:
    owner = make_owner(f"test-{request.node.name[:40]}")
    yield owner
    remove_run(here, owner.run)


@pytest.fixture
def controller(
    name: str, warden_id: str, images: dict[str, ImageInfo], here: docker.DockerClient
) -> Iterator[Controller]:
    """Starts another controller, which holds the host and has a server and a client run there."""
    with contextlib.ExitStack() as running:

        def begin(run: str, *, lease_s: float = 60.0, host: str = "") -> "subprocess.Popen[str]":
            argv = [sys.executable, "-c", CONTROLLER, name, run, host, str(lease_s), warden_id, images["tiny"].id]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            process = running.enter_context(subprocess.Popen(argv, text=True, cwd=ROOT, **pipes))  # type: ignore[call-overload]
            running.callback(process.kill)
            running.callback(remove_run, here, run)
            assert process.stdout.readline() == "started\n"
            return process  # type: ignore[no-any-return]

        yield begin


def remove(container: Container) -> None:
    with contextlib.suppress(NotFound):
        container.remove(force=True)


def remove_run(client: docker.DockerClient, run: str) -> None:
    for container in of_run(client, run):
        remove(container)


def of_run(client: docker.DockerClient, run: str) -> list[Container]:
    return client.containers.list(all=True, sparse=True, filters={"label": f"ceiling.run={run}"})


def load_of(client: docker.DockerClient, run: str) -> int:
    return sum(container.attrs["Labels"].get("ceiling.role") != "warden" for container in of_run(client, run))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_load_of_a_killed_controller_ends_with_the_lease_and_that_of_others_goes_on(
    controller: Controller, here: docker.DockerClient, images: dict[str, ImageInfo], owner: Owner, name: str
) -> None:
    other = DockerRuntime(here, images, owner).start(SPEC)
    stranger = here.containers.run(images["tiny"].id, entrypoint=["sleep", "60"], detach=True, init=True)
    try:
        killed = controller("test-killed", lease_s=6.0)
        assert load_of(here, "test-killed") == 2
        killed.kill()
        until(lambda: load_of(here, "test-killed") == 0)
        until(lambda: here.containers.get(name).status == "exited")
        assert other.running()
        stranger.reload()
        assert stranger.status == "running"
    finally:
        stranger.remove(force=True)


def test_renewals_keep_the_load_alive(
    here: docker.DockerClient, warden_id: str, images: dict[str, ImageInfo], owner: Owner, name: str
) -> None:
    with hold(here, warden_id, owner, HOST, lease_s=4.0) as held:
        service = DockerRuntime(here, images, owner).start(SPEC)
        time.sleep(6.0)
        assert service.running()
        assert held.broken is None
    with pytest.raises(NotFound):
        here.containers.get(name)
    assert service.running()


def test_what_a_killed_controller_of_this_machine_left_is_taken_over_at_once(
    controller: Controller, here: docker.DockerClient, warden_id: str, owner: Owner
) -> None:
    process = controller("test-dead")
    process.kill()
    process.wait(DEADLINE_S)
    with hold(here, warden_id, owner, HOST) as held:
        assert held.broken is None
        assert of_run(here, "test-dead") == []


def test_a_host_whose_lease_is_over_is_taken_over_whoever_held_it(
    controller: Controller, here: docker.DockerClient, warden_id: str, owner: Owner, name: str
) -> None:
    controller("test-elsewhere", lease_s=1.0, host="elsewhere").kill()
    until(lambda: here.containers.get(name).status == "exited")
    with hold(here, warden_id, owner, HOST):
        assert here.containers.get(name).labels["ceiling.run"] == owner.run
        assert of_run(here, "test-elsewhere") == []


def test_a_second_controller_is_told_who_holds_the_host(
    controller: Controller, here: docker.DockerClient, warden_id: str, owner: Owner
) -> None:
    process = controller("test-first")
    told = (
        rf"^host afar is held by run test-first of controller \S+ \(process {process.pid}\) since \d{{4}}-\d\d-\d\d "
        r"\d\d:\d\d:\d\d UTC; wait for it, or `harness clean INVENTORY --all` if it is gone$"
    )
    with pytest.raises(HostError, match=told):
        hold(here, warden_id, owner, HOST)
    assert load_of(here, "test-first") == 2


def test_a_strangers_container_of_that_name_is_left_alone(
    here: docker.DockerClient, warden_id: str, images: dict[str, ImageInfo], owner: Owner, name: str
) -> None:
    here.containers.create(images["tiny"].id, name=name)
    with pytest.raises(HostError, match=r"^afar: a container named .* none of ours; remove it there"):
        hold(here, warden_id, owner, HOST)


def test_runs_that_hold_a_host_together_do_not_refuse_one_another(
    here: docker.DockerClient, warden_id: str, images: dict[str, ImageInfo], owner: Owner, name: str
) -> None:
    other = replace(owner, run=f"{owner.run}-other")
    with hold(here, warden_id, owner, HOST, exclusive=False):
        with hold(here, warden_id, other, HOST, exclusive=False):
            service = DockerRuntime(here, images, other).start(SPEC)
        assert service.running()
        assert len(of_run(here, owner.run)) == 1
    service.remove()


def test_what_is_past_its_own_deadline_goes_whoever_owns_it(
    here: docker.DockerClient, warden_id: str, images: dict[str, ImageInfo], owner: Owner, name: str
) -> None:
    other = replace(owner, run=f"{owner.run}-overdue", host="elsewhere")
    DockerRuntime(here, images, other, lease_s=-1.0).start(SPEC)
    with hold(here, warden_id, owner, HOST):
        until(lambda: of_run(here, other.run) == [])


def test_cleaning_leaves_the_warden_that_holds_the_host_for_the_run(
    here: docker.DockerClient, warden_id: str, images: dict[str, ImageInfo], owner: Owner, name: str
) -> None:
    with hold(here, warden_id, owner, HOST):
        DockerRuntime(here, images, owner).start(SPEC)
        DockerRuntime(here, images, owner).clean()
        assert load_of(here, owner.run) == 0
        assert here.containers.get(name).status == "running"


def test_a_warden_that_was_cleaned_away_is_told(
    here: docker.DockerClient, warden_id: str, owner: Owner, name: str
) -> None:
    with hold(here, warden_id, owner, HOST, lease_s=1.0) as held:
        here.containers.get(name).remove(force=True)
        until(lambda: "another run has taken the host" in held.trouble)
        assert held.broken is not None


def test_a_warden_that_went_with_its_host_is_made_again_and_one_that_was_cleaned_is_not(
    here: docker.DockerClient, warden_id: str, owner: Owner, name: str
) -> None:
    boots = ["first"]
    with hold(here, warden_id, owner, HOST, boot=lambda: boots[-1]) as held:
        boots.append("second")
        here.containers.get(name).remove(force=True)
        held.see_held()
        assert here.containers.get(name).status == "running"
        assert held.broken is None
        here.containers.get(name).remove(force=True)
        with pytest.raises(HostError, match=rf"^{HOST}: its warden is gone: another run has taken the host, or it was"):
            held.see_held()


def test_a_host_that_started_anew_and_was_taken_by_another_run_is_not_taken_back(
    here: docker.DockerClient, warden_id: str, owner: Owner, name: str
) -> None:
    boots = ["first"]
    other = replace(owner, run=f"{owner.run}-other")
    with hold(here, warden_id, owner, HOST, boot=lambda: boots[-1]) as held:
        here.containers.get(name).remove(force=True)
        boots.append("second")
        with hold(here, warden_id, other, HOST):
            with pytest.raises(HostError, match=rf"^host {HOST} is held by run {other.run} "):
                held.see_held()
            assert here.containers.get(name).labels["ceiling.run"] == other.run


def test_an_engine_whose_socket_is_elsewhere_is_told(
    here: docker.DockerClient, warden_id: str, owner: Owner, name: str
) -> None:
    with pytest.raises(RuntimeUnavailable, match=r"^afar: its warden does not start: .*/nowhere.sock"):
        hold(here, warden_id, owner, HOST, socket="/nowhere.sock")
    with pytest.raises(RuntimeUnavailable, match=r"^afar: its warden does not run: .*the engine does not answer"):
        hold(here, warden_id, owner, HOST, socket="/etc/passwd")
    assert of_run(here, owner.run) == []


@pytest.fixture
def afar(connection: SshConnection, warden_id: str, owner: Owner, name: str) -> Iterator[Warden]:
    """A host held over SSH, for a lease of 2 s."""
    client = connect_over(connection.transport, HOST)
    with hold(client, warden_id, owner, HOST, lease_s=2.0, patience_s=DEADLINE_S) as held:
        yield held
    client.close()


def test_a_lost_connection_is_no_lost_lease(
    afar: Warden, sshd: Sshd, here: docker.DockerClient, images: dict[str, ImageInfo], owner: Owner
) -> None:
    service = DockerRuntime(here, images, owner).start(SPEC)
    for _ in range(4):
        sshd.end_sessions()
        time.sleep(0.7)
    assert service.running()
    until(lambda: afar.broken is None)


@pytest.mark.usefixtures("hasty")
def test_a_connection_that_comes_back_after_the_lease_finds_no_load_and_the_host_held(
    afar: Warden, sshd: Sshd, here: docker.DockerClient, images: dict[str, ImageInfo], owner: Owner, name: str
) -> None:
    DockerRuntime(here, images, owner).start(SPEC)
    sshd.freeze()
    try:
        until(lambda: load_of(here, owner.run) == 0)
        until(lambda: afar.broken is not None)
    finally:
        sshd.thaw()
    until(lambda: afar.broken is None)
    assert here.containers.get(name).status == "running"
