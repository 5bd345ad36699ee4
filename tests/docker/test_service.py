"""A service in a container: the runtime's interface, kept by a real engine."""

import json
import socket
import time
from pathlib import Path
from signal import SIGKILL, SIGTERM, SIGUSR1

import docker
import pytest
from docker.models.containers import Container

from harness.errors import DeployError
from harness.images import ImageInfo
from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.docker import DockerRuntime, DockerService
from harness.runtime.docker.first_process import FirstProcess
from harness.runtime.docker.packages import installed
from tests.docker.conftest import Start

pytestmark = pytest.mark.docker
DEADLINE_S = 30.0


def event(service: DockerService) -> dict[str, object]:
    said: dict[str, object] = json.loads(next(service.lines(DEADLINE_S)))
    return said


def container_of(client: docker.DockerClient, service: DockerService) -> Container:
    """The one container of this name that this test started."""
    (found,) = client.containers.list(filters={"label": ["ceiling.run", f"ceiling.name={service.spec.name}"]})
    return found


def test_gets_its_configuration_before_it_starts(start: Start) -> None:
    service = start("wait", config={"text": 'a "quoted" é\n'})
    assert event(service) == {"event": "ready", "config": {"do": "wait", "text": 'a "quoted" é\n'}}


def test_finishes_on_sigterm_and_leaves_its_report(start: Start) -> None:
    service = start("wait")
    event(service)
    assert service.running()
    service.signal(SIGTERM)
    assert service.wait(DEADLINE_S) == 0
    assert not service.running()
    assert json.loads(service.fetch("exit.json")) == {"requests": 3}


def test_takes_signals_while_it_runs(start: Start) -> None:
    service = start("wait")
    event(service)
    service.signal(SIGUSR1)
    assert event(service) == {"event": "mark"}


def test_takes_signals_through_the_engine_where_its_process_is_out_of_sight(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FirstProcess, "find", lambda pid, container_id: None)
    service = start("wait")
    event(service)
    assert service.running()
    service.signal(SIGUSR1)
    assert event(service) == {"event": "mark"}
    service.signal(SIGTERM)
    assert service.wait(DEADLINE_S) == 0
    assert not service.running()


def test_a_process_is_known_by_its_container(start: Start, client: docker.DockerClient) -> None:
    service = start("wait")
    assert FirstProcess.find(service.main_pid, "0" * 64) is None
    assert FirstProcess.find(2**22 + 1, "0" * 64) is None
    assert (Path("/proc") / str(service.main_pid) / "comm").read_text().strip() == "python3"


def test_a_signal_to_what_is_gone_does_nothing(start: Start) -> None:
    service = start("end", config={"status": 0})
    service.wait(DEADLINE_S)
    service.signal(SIGTERM)
    service.remove()
    service.signal(SIGTERM)
    assert not service.running()


@pytest.mark.parametrize("status", [0, 1, 42, 130, 143])
def test_a_status_that_the_program_chose_comes_back(start: Start, status: int) -> None:
    assert start("end", config={"status": status}).wait(DEADLINE_S) == status


def test_a_signal_that_killed_it_comes_back_negative(start: Start) -> None:
    killed, crashed = start("wait"), start("crash")
    killed.signal(SIGKILL)
    assert killed.wait(DEADLINE_S) == -9
    assert crashed.wait(DEADLINE_S) == -11


def test_waiting_has_a_deadline_and_tells_the_last_output(start: Start) -> None:
    service = start("wait")
    event(service)
    with pytest.raises(DeployError, match=r"(?s)wait-0: did not end within 0.5 s.*ready"):
        service.wait(0.5)
    assert service.running()


def test_lines_come_once_each_until_the_end(start: Start) -> None:
    service = start("babble", config={"lines": 2000})
    first = next(service.lines(DEADLINE_S))
    rest = list(service.lines(DEADLINE_S))
    assert [line.split()[0] for line in [first, *rest]] == [str(number) for number in range(2000)]
    assert {line.split()[1] for line in rest} == {"é" * 100}
    assert list(service.lines(DEADLINE_S)) == []


def test_silence_has_a_deadline_and_lines_go_on_after_it(start: Start) -> None:
    service = start("wait")
    event(service)
    with pytest.raises(DeployError, match=r"wait-0: printed nothing for 0.2 s"):
        next(service.lines(0.2))
    service.signal(SIGUSR1)
    assert event(service) == {"event": "mark"}


def test_a_file_put_appears_whole_or_not_at_all(start: Start) -> None:
    names = [f"{number}.bin" for number in range(8)]
    service = start("read_early", config={"names": names})
    assert event(service) == {"event": "ready"}
    for name in names:
        service.put(name, b"x" * 8_000_000)
        assert event(service) == {"event": "read", "bytes": 8_000_000}


def test_a_file_put_again_is_replaced(start: Start, client: docker.DockerClient) -> None:
    service = start("wait")
    service.put("start.json", b"first")
    service.put("start.json", b"second")
    assert container_of(client, service).exec_run("cat /ceiling/start.json").output == b"second"


def test_a_missing_file_is_a_file_not_found(start: Start) -> None:
    service = start("wait")
    for name in ("nothing.json", "../out"):
        with pytest.raises(FileNotFoundError):
            service.fetch(name)


def test_logs_hold_both_streams_and_how_it_ended(start: Start) -> None:
    service = start("end", config={"status": 5})
    service.wait(DEADLINE_S)
    assert service.logs() == "out of luck\n\n[the container ended with status 5]\n"


def test_logs_are_the_last_64_kib(start: Start) -> None:
    service = start("babble", config={"lines": 1000})
    service.wait(DEADLINE_S)
    logs = service.logs()
    assert len(logs.encode()) <= 64 * 1024 + 3
    assert logs.splitlines()[-1].startswith("999 ")


def test_memory_beyond_the_limit_is_named_as_the_end(start: Start) -> None:
    service = start("eat", memory_bytes=64 << 20)
    assert service.wait(DEADLINE_S) == -9
    assert "killed by the kernel at its memory limit of 67108864 bytes" in service.logs()


def test_cores_and_open_files_are_as_asked(start: Start) -> None:
    service = start("limits", cores=[0], open_files=777)
    assert event(service) == {"open_files": [777, 777], "cores": [0], "pid": 1}


def test_a_command_runs_in_place_of_the_entry(start: Start) -> None:
    service = start("wait", role="tool", command=["-c", "import os; print(os.getcwd())"])
    assert next(service.lines(DEADLINE_S)) == "/srv/tiny"


def test_is_reached_over_the_bridge_at_its_own_address(start: Start) -> None:
    service = start("listen", config={"port": 8080}, network="bridge", port=8080)
    event(service)
    assert service.address != "127.0.0.1"
    with socket.create_connection((service.address, 8080), timeout=DEADLINE_S) as connection:
        assert connection.recv(5, socket.MSG_WAITALL) == b"hello"


def test_is_reached_over_the_host_at_the_loopback(start: Start) -> None:
    assert start("wait").address == "127.0.0.1"


def test_a_probe_sees_processes_memory_and_cgroups_of_others(start: Start, client: docker.DockerClient) -> None:
    seen = start("wait")
    event(seen)
    container = container_of(client, seen)
    probe = start("look_at", role="probe", config={"pid": seen.main_pid, "container": container.id})
    assert event(probe) == {"command": "python3", "pss": True, "cgroups": True}


REFUSED = {
    "a core that the host has not": {"cores": (4095,)},
    "more open files than the engine may give": {"open_files": 2_000_000_000},
    "less memory than a container can have": {"memory_bytes": 1000},
}


@pytest.mark.parametrize("settings", REFUSED.values(), ids=REFUSED.keys())
def test_a_start_that_the_engine_refuses_is_told_and_leaves_nothing(
    start: Start, runtime: DockerRuntime, settings: dict[str, object]
) -> None:
    with pytest.raises(DeployError, match="wait-0: its container did not start: "):
        start("wait", **settings)
    assert runtime.clean() == 0


def test_an_image_that_was_not_built_is_told(runtime: DockerRuntime) -> None:
    with pytest.raises(DeployError, match="x: no image was built for 'nginx'; there are: base, tiny"):
        runtime.start(ServiceSpec(name="x", role="server", image="nginx", config={}, cores=()))


def test_output_is_bounded_on_disk(start: Start, client: docker.DockerClient) -> None:
    log = container_of(client, start("wait")).attrs["HostConfig"]["LogConfig"]
    assert log == {"Type": "json-file", "Config": {"max-file": "2", "max-size": "8m"}}


def test_carries_owner_role_and_deadline(start: Start, client: docker.DockerClient) -> None:
    container = container_of(client, start("wait"))
    assert make_owner(container.labels["ceiling.run"]).labels().items() <= container.labels.items()
    assert container.labels["ceiling.role"] == "server"
    assert time.time() < int(container.labels["ceiling.deadline"]) < time.time() + 3700


def test_removing_twice_is_fine(start: Start) -> None:
    service = start("wait")
    service.remove()
    service.remove()
    assert service.logs().startswith("[its output is lost")


def test_facts_name_the_engine_the_base_and_the_images(runtime: DockerRuntime, images: dict[str, ImageInfo]) -> None:
    facts = runtime.facts()
    assert facts["images"]["tiny"]["id"] == images["tiny"].id
    assert facts["base"] == [images["base"].route]
    assert all(facts["engine"][key] for key in ("version", "api", "storage_driver", "cgroup_version", "cgroup_driver"))
    json.dumps(facts)


def test_facts_have_the_exact_version_of_every_package(runtime: DockerRuntime, start: Start) -> None:
    service = start("wait", role="tool", command=["-c", "import platform; print(platform.python_version())"])
    packages = runtime.facts()["images"]["tiny"]["packages"]
    assert packages["python3"].startswith(".".join(next(service.lines(DEADLINE_S)).split(".")[:2]))
    assert {"base-files", "dpkg", "libc6", "python3-uvloop"} <= packages.keys()
    assert all(packages.values())


def test_a_look_at_packages_leaves_nothing_behind(runtime: DockerRuntime, client: docker.DockerClient) -> None:
    runtime.facts()
    left = client.containers.list(all=True, filters={"label": "ceiling.name=packages-tiny"})
    assert [one.name for one in left if one.labels["ceiling.run"] == runtime._owner.run] == []


def test_what_is_not_installed_is_no_package() -> None:
    status = "Package: a\nStatus: install ok installed\nVersion: 1.0-2\nDescription: x\n more: of it\n"
    gone = "Package: b\nStatus: deinstall ok config-files\nVersion: 3\n"
    assert installed(f"{status}\n{gone}") == {"a": "1.0-2"}


def test_frozen_it_is_silent_and_thawed_it_goes_on(client: docker.DockerClient, start: Start) -> None:
    service = start("wait")
    event(service)
    service.freeze()
    service.freeze()  # what is frozen stays so
    assert container_of(client, service).status == "paused"
    service.signal(SIGUSR1)
    service.thaw()
    service.thaw()
    assert event(service) == {"event": "mark"}


def test_killed_it_leaves_no_report_and_started_again_it_is_whole(start: Start) -> None:
    service = start("wait", config={"text": "same"})
    first = event(service)
    pid = service.main_pid
    service.kill()
    service.kill()  # what is gone cannot be harmed
    assert service.wait(DEADLINE_S) == -SIGKILL
    service.freeze()  # nothing is left to freeze or thaw
    service.thaw()
    service.start_again()
    assert event(service) == first
    assert service.main_pid != pid
    service.signal(SIGTERM)
    assert service.wait(DEADLINE_S) == 0
    assert json.loads(service.fetch("exit.json")) == {"requests": 3}


def test_what_is_running_is_not_started_again(start: Start) -> None:
    service = start("wait")
    event(service)
    with pytest.raises(DeployError, match="still running"):
        service.start_again()


def test_removed_while_it_is_frozen(client: docker.DockerClient, start: Start) -> None:
    service = start("wait")
    event(service)
    service.freeze()
    service.remove()
    assert client.containers.list(all=True, filters={"label": f"ceiling.name={service.spec.name}"}) == []
