"""What a host still lacks is planned from what it says, and from nothing else."""

from dataclasses import replace

import pytest

from harness.errors import HostError
from harness.hosts.connection import Done
from harness.hosts.prepare.look import state_of
from harness.hosts.prepare.plan import plan_for
from harness.hosts.prepare.record import PATH, SysctlChange
from harness.hosts.prepare.targets import LIMITS_FILE, OPEN_FILES, SYSCTL_FILE, UNIT_FILES
from tests.prepare.hosts import RECORDED, after, file_line, recorded, said, step, with_record, words

PLANS = {
    "ubuntu-24.04-sudo": [
        "set net.ipv4.tcp_max_syn_backlog to 4096 (it is 512)",
        "set net.ipv4.ip_local_port_range to 16384 65000 (it is 32768 60999)",
        "set net.core.netdev_max_backlog to 4096 (it is 1000)",
        f"write {SYSCTL_FILE}",
        f"write {UNIT_FILES['docker']}",
        "install docker.io containerd iptables",
        "start and enable the engine",
        "make ubuntu a member of the group docker",
    ],
    "debian-13-root": [
        "set net.ipv4.tcp_max_syn_backlog to 4096 (it is 2048)",
        "set net.ipv4.ip_local_port_range to 16384 65000 (it is 32768 60999)",
        "set net.core.netdev_max_backlog to 4096 (it is 1000)",
        f"write {SYSCTL_FILE}",
        f"write {LIMITS_FILE}",
        f"write {UNIT_FILES['docker']}",
        "install python3 docker.io containerd iptables docker-cli",
        "start and enable the engine",
    ],
    "debian-12-docker-ce": [f"write {UNIT_FILES['docker']}"],
    "debian-12-no-systemd": [
        "set net.ipv4.tcp_max_syn_backlog to 4096 (it is 2048)",
        "set net.ipv4.ip_local_port_range to 16384 65000 (it is 32768 60999)",
        "set net.core.netdev_max_backlog to 4096 (it is 1000)",
        "set kernel.pid_max to 131072 (it is 32768)",
        "set vm.max_map_count to 262144 (it is 65530)",
        f"write {SYSCTL_FILE}",
    ],
    "debian-13-container": [
        "set net.core.somaxconn to 4096 (it is 128)",
        "set net.ipv4.ip_local_port_range to 16384 65000 (it is 32768 60999)",
        f"write {SYSCTL_FILE}",
        "install python3 docker.io containerd iptables docker-cli",
        "start the engine",
    ],
}
DEBIAN = "debian-13-root"
ENGINE = "debian-12-docker-ce"


@pytest.mark.parametrize("name", PLANS)
def test_a_host_gets_the_steps_that_it_lacks_in_their_order(name: str) -> None:
    assert words(plan_for(recorded(name))) == PLANS[name]


def test_each_recorded_host_that_can_be_prepared_has_a_plan_above() -> None:
    assert {path.stem for path in RECORDED.iterdir()} == {*PLANS, "fedora-42"}


@pytest.mark.parametrize("name", PLANS)
def test_no_setting_is_lowered(name: str) -> None:
    host = recorded(name)
    changes = [entry.change for entry in plan_for(host).steps if isinstance(entry.change, SysctlChange)]
    for change in changes:
        before, now = (tuple(map(int, text.split())) for text in (change.before, change.after))
        assert now[-1] >= before[-1]
        assert len(now) == 1 or now[0] <= before[0]


@pytest.mark.parametrize("name", PLANS)
def test_each_step_says_why_and_how_it_is_undone(name: str) -> None:
    assert [entry.what for entry in plan_for(recorded(name)).steps if not entry.why or not entry.undo] == []


def test_files_and_settings_that_are_as_they_should_be_are_left() -> None:
    host = recorded("debian-12-no-systemd")
    assert words(plan_for(after(host, plan_for(host)))) == []


def test_what_was_raised_before_a_break_still_comes_into_the_file_for_the_next_boot() -> None:
    host = recorded("debian-12-no-systemd")
    whole = plan_for(host)
    broken_off = replace(whole, steps=whole.steps[:1])
    resumed = plan_for(after(host, broken_off))
    assert "net.ipv4.tcp_max_syn_backlog = 4096" in step(resumed, f"write {SYSCTL_FILE}").content


def test_a_setting_that_a_container_shares_with_its_host_is_told_and_left_alone() -> None:
    plan = plan_for(recorded("debian-13-container"))
    (note,) = (note for note in plan.notes if note.startswith("vm.max_map_count"))
    assert note.endswith("left alone")
    assert "container" in note


def test_a_setting_that_cannot_be_written_is_told_and_left_alone() -> None:
    plan = plan_for(recorded("debian-13-container"))
    assert [note for note in plan.notes if note.startswith("net.ipv4.tcp_max_syn_backlog")]


def test_a_limit_of_open_files_that_root_may_not_raise_is_never_written() -> None:
    """A login whose limit cannot be set is refused: the host would be lost."""
    host = recorded("debian-13-container")
    assert host.limits["session"] == 20_000
    plan = plan_for(host)
    assert f"write {LIMITS_FILE}" not in words(plan)
    assert any("open files" in note for note in plan.notes)


def test_an_engine_that_is_there_keeps_its_packages_whatever_its_origin() -> None:
    assert [word for word in words(plan_for(recorded(ENGINE))) if word.startswith("install")] == []


def test_an_engine_with_containers_is_not_started_again_and_that_is_told() -> None:
    plan = plan_for(recorded(ENGINE))
    assert "start the engine again" not in words(plan)
    assert any("systemctl restart docker" in note for note in plan.notes)


def test_an_engine_without_containers_is_started_again_for_its_new_limit() -> None:
    host = replace(recorded(ENGINE), running=0)
    assert words(plan_for(host)) == [f"write {UNIT_FILES['docker']}", "start the engine again"]
    raised = replace(after(host, plan_for(host)), limits={**host.limits, "dockerd": OPEN_FILES})
    assert words(plan_for(raised)) == []


def test_an_engine_that_is_installed_and_stopped_is_started_not_installed() -> None:
    host = replace(recorded(ENGINE), engine=None, limits={"session": OPEN_FILES})
    assert words(plan_for(host)) == ["start and enable the engine"]


def test_an_engine_that_does_not_start_with_the_host_is_enabled() -> None:
    host = replace(recorded(ENGINE), units={"docker": "disabled"}, limits={})
    assert words(plan_for(host)) == ["start and enable the engine"]


def test_an_engine_that_is_no_service_of_systemds_is_left_as_it_is() -> None:
    assert words(plan_for(replace(recorded(ENGINE), units={}, running=0))) == []


def test_the_command_docker_is_installed_where_only_that_is_missing_and_is_a_package_of_its_own() -> None:
    host = said(DEBIAN, "command dockerd", "command python3", "limit.dockerd 1048576")
    assert "install docker-cli" in words(plan_for(host))


def test_a_machine_that_still_sets_itself_up_is_waited_for_before_packages() -> None:
    install = step(plan_for(recorded("ubuntu-24.04-sudo")), "install")
    assert install.commands[0].argv == ("cloud-init", "status", "--wait")


def test_installing_never_removes_a_package() -> None:
    assert "--no-remove" in step(plan_for(recorded(DEBIAN)), "install").commands[-1].argv


REFUSED = {
    "another system": (recorded("fedora-42"), "Fedora Linux 42 (Cloud Edition) is neither Debian nor Ubuntu"),
    "an engine that hangs": (replace(recorded(ENGINE), engine=None), "does not answer `docker version`"),
    "an engine of another origin without its command": (
        replace(recorded(ENGINE), engine=None, commands=frozenset({"python3", "dockerd", "apt-get"})),
        "the command `docker` is missing",
    ),
    "a record of another version": (said(DEBIAN, file_line(PATH, '{"format": 2}')), "is not a record"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused_in_one_line_that_names_the_host(case: str) -> None:
    host, says = REFUSED[case]
    with pytest.raises(HostError) as error:
        plan_for(host)
    assert says in str(error.value)
    assert str(error.value).startswith(f"{host.name}: ")
    assert "\n" not in str(error.value)


NO_ANSWER = {
    "sudo asks for a password": (1, "sudo: a password is required\n", "set `user: root`"),
    "there is no sudo": (127, "bash: line 1: sudo: command not found\n", "set `user: root`"),
    "it breaks off": (255, "sh: out of memory\n", "ended with status 255: sh: out of memory"),
    "nothing comes": (0, "", "no output"),
}


@pytest.mark.parametrize("case", NO_ANSWER)
def test_a_host_that_does_not_let_itself_be_looked_at_is_told_in_one_line(case: str) -> None:
    status, stderr, says = NO_ANSWER[case]
    with pytest.raises(HostError) as error:
        state_of("alpha", Done(status, "", stderr))
    assert says in str(error.value)
    assert str(error.value).startswith("alpha: ")
    assert "\n" not in str(error.value)


def test_the_first_record_of_what_was_there_before_is_kept() -> None:
    host = recorded(DEBIAN)
    first = SysctlChange(name="vm.max_map_count", before="1", after="2")
    again = SysctlChange(name="vm.max_map_count", before="2", after="3")
    prepared = host.prepared.with_change(first).with_change(again)
    assert prepared.changes == (SysctlChange(name="vm.max_map_count", before="1", after="3"),)
    assert with_record(host, prepared).prepared == prepared
