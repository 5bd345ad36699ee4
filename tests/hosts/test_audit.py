"""Walls are found where settings are too low, and only there; settings are recorded files."""

import resource
from pathlib import Path

import pytest

from harness.hosts.audit import Need, audit, need_of
from harness.spec.experiment import Trial
from harness.spec.traffic import Load

ROOMY = {
    "fs.file-max": "9223372036854775807",
    "kernel.pid_max": "4194304",
    "kernel.threads-max": "192730",
    "vm.max_map_count": "262144",
    "net.core.somaxconn": "65535",
    "net.ipv4.tcp_max_syn_backlog": "65535",
    "net.ipv4.ip_local_port_range": "1024\t65535",
}
MODEST = Need(open_files=300, connections=256, backlog=4096)


def host(root: Path, **settings: str) -> Path:
    for name, value in {**ROOMY, **settings}.items():
        path = root / "proc/sys" / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    return root


def test_a_roomy_host_has_no_wall(tmp_path: Path) -> None:
    assert audit(MODEST, host(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "value", "have", "need", "fatal"),
    [
        ("fs.file-max", "511", 511, 512, True),
        ("kernel.pid_max", "511", 511, 512, True),
        ("kernel.threads-max", "511", 511, 512, True),
        ("vm.max_map_count", "1023", 1023, 1024, True),
        ("net.core.somaxconn", "4095", 4095, 4096, False),
        ("net.ipv4.tcp_max_syn_backlog", "255", 255, 256, False),
    ],
)
def test_a_setting_that_is_one_too_low_is_a_wall_with_the_command_that_moves_it(
    tmp_path: Path, name: str, value: str, have: int, need: int, fatal: bool
) -> None:
    (wall,) = audit(MODEST, host(tmp_path, **{name: value}))
    assert (wall.name, wall.have, wall.need, wall.fatal) == (name, have, need, fatal)
    assert f"sysctl -w {name}={need}" in str(wall)


def test_one_that_just_suffices_is_none(tmp_path: Path) -> None:
    settings = {"fs.file-max": "512", "kernel.pid_max": "512", "net.core.somaxconn": "4096", "vm.max_map_count": "1024"}
    assert audit(MODEST, host(tmp_path, **settings)) == []


def test_too_few_ports_for_the_connections_are_a_wall(tmp_path: Path) -> None:
    (wall,) = audit(MODEST, host(tmp_path, **{"net.ipv4.ip_local_port_range": "32768\t33000"}))
    assert (wall.have, wall.need, wall.fatal) == (233, 256, True)


def test_open_files_are_held_against_the_hard_limit(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    (wall,) = audit(Need(open_files=hard + 1, connections=1, backlog=1), host(tmp_path))
    assert (wall.have, wall.need, wall.fatal) == (hard, hard + 1, True)
    assert "ulimit -Hn" in wall.remedy
    assert audit(Need(open_files=hard, connections=1, backlog=1), host(tmp_path)) == []


def test_fatal_walls_come_first(tmp_path: Path) -> None:
    settings = {"net.core.somaxconn": "128", "net.ipv4.ip_local_port_range": "1\t2", "kernel.pid_max": "100"}
    assert [wall.fatal for wall in audit(MODEST, host(tmp_path, **settings))] == [True, True, False]


def test_a_setting_that_a_kernel_does_not_have_is_no_wall(tmp_path: Path) -> None:
    assert audit(MODEST, tmp_path) == []


def test_this_very_host_can_be_audited() -> None:
    assert all(wall.have < wall.need for wall in audit(Need(open_files=10**9, connections=10**6, backlog=10**6)))


def test_a_plan_needs_what_its_largest_trial_needs() -> None:
    trials = [Trial(load=Load(connections=connections)) for connections in (1, 1024, 32)]
    assert need_of(trials, open_files=1280, backlog=4096) == Need(open_files=1280, connections=1024, backlog=4096)
    assert need_of([], open_files=0, backlog=0).connections == 0
