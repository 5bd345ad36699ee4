"""What was changed is taken back, as far as nobody else has changed it since."""

from dataclasses import replace

import pytest

from harness.hosts.prepare.look import HostState, Sysctl
from harness.hosts.prepare.plan import plan_for
from harness.hosts.prepare.record import EngineChange, FileChange, GroupChange, PackagesChange, Prepared, SysctlChange
from harness.hosts.prepare.targets import LIMITS_FILE, SYSCTL_FILE, UNIT_FILES
from harness.hosts.prepare.undo import plan_undo
from tests.prepare.hosts import after, recorded, words

HOST = recorded("ubuntu-24.04-sudo")
RAISED = Prepared(changes=(SysctlChange(name="net.core.somaxconn", before="128", after="4096"),))


def written(before: str | None) -> tuple[HostState, Prepared]:
    host = replace(HOST, files={LIMITS_FILE: "ours"})
    return host, Prepared(changes=(FileChange(path=LIMITS_FILE, before=before, after="ours"),))


def test_everything_is_taken_back_the_last_change_first() -> None:
    done = after(HOST, plan_for(HOST))
    host = replace(done, groups=(*done.groups, "docker"))
    plan = plan_undo(host, host.prepared)
    assert words(plan) == [
        "take ubuntu out of the group docker",
        f"remove {UNIT_FILES['docker']}",
        f"remove {SYSCTL_FILE}",
        "set net.core.netdev_max_backlog back to 1000",
        "set net.ipv4.ip_local_port_range back to 32768 60999",
        "set net.ipv4.tcp_max_syn_backlog back to 512",
    ]


def test_a_file_that_was_there_gets_back_what_it_held() -> None:
    host, prepared = written("theirs")
    (step,) = plan_undo(host, prepared).steps
    assert step.what == f"write back {LIMITS_FILE}"
    assert step.commands[0].stdin == b"theirs"


SINCE = {
    "a file": (replace(HOST, files={LIMITS_FILE: "edited"}), written(None)[1], f"{LIMITS_FILE} was changed since"),
    "a setting": (
        replace(HOST, sysctls={"net.core.somaxconn": Sysctl((9999,), writable=True)}),
        RAISED,
        "net.core.somaxconn was changed since to 9999",
    ),
}


@pytest.mark.parametrize("case", SINCE)
def test_what_somebody_changed_since_is_left_and_told(case: str) -> None:
    host, prepared, says = SINCE[case]
    plan = plan_undo(host, prepared)
    assert plan.steps == ()
    assert plan.notes[0].startswith(says)


GONE = {
    "a file": (HOST, written(None)[1]),
    "a setting": (replace(HOST, sysctls={"net.core.somaxconn": Sysctl((128,), writable=True)}), RAISED),
    "a member of a group": (HOST, Prepared(changes=(GroupChange(user="ubuntu", group="docker"),))),
}


@pytest.mark.parametrize("case", GONE)
def test_what_is_as_it_was_needs_no_step(case: str) -> None:
    host, prepared = GONE[case]
    assert plan_undo(host, prepared).steps == ()


def test_packages_and_the_engine_stay_and_the_commands_that_remove_them_are_told() -> None:
    prepared = Prepared(changes=(PackagesChange(names=("docker.io",)), EngineChange(stop="systemctl stop docker")))
    plan = plan_undo(HOST, prepared)
    assert plan.steps == ()
    assert [note.partition(": ")[2] for note in plan.notes] == [
        "systemctl stop docker",
        "apt-get purge --autoremove docker.io",
    ]
