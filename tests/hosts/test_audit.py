"""Walls are found where settings are too low, and only there; settings are recorded files."""

from pathlib import Path
from typing import Any

import pytest

from harness.hosts.audit import OWN_TASKS, Need, Wall, audit, shared_cores
from harness.hosts.cgroup import CgroupLimits
from harness.hosts.settings import HostAudit, Limit, collect_settings

ROOMY = {
    "fs.file-max": "9223372036854775807",
    "fs.nr_open": "1048576",
    "kernel.pid_max": "4194304",
    "kernel.threads-max": "192730",
    "vm.max_map_count": "262144",
    "net.core.somaxconn": "65535",
    "net.ipv4.tcp_max_syn_backlog": "65535",
    "net.ipv4.tcp_abort_on_overflow": "0",
    "net.netfilter.nf_conntrack_max": "262144",
    "net.netfilter.nf_conntrack_count": "17",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait": "120",
}
MODEST = Need(open_files=300, connections=256, backlog=4096, tasks=256, threads=256)
NO_LIMITS = {name: Limit(soft="unlimited", hard="unlimited") for name in ("open_files", "processes")}
UNLIMITED = CgroupLimits(cpu_quota_cores=None, cpuset=None, memory_limit_bytes=None, pids_limit=None, pids_used=None)


def host(root: Path, settings: dict[str, str] | None = None, **changes: Any) -> HostAudit:
    """A host without a wall, but for these."""
    for name, value in {**ROOMY, **(settings or {})}.items():
        path = root / "proc/sys" / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")
    fields = {
        "limits": NO_LIMITS,
        "cgroup": UNLIMITED,
        "memory_available_bytes": 1 << 34,
        "clock_source": "tsc",
        "as_root": False,
    }
    return collect_settings(root).model_copy(update={**fields, **changes})


def cgroup(**changes: Any) -> dict[str, Any]:
    return {"cgroup": UNLIMITED.model_copy(update=changes)}


def limit(name: str, hard: int) -> dict[str, Any]:
    return {"limits": {**NO_LIMITS, name: Limit(soft=hard, hard=hard)}}


def need(**changes: Any) -> Need:
    return Need(**{**vars(MODEST), **changes})


def test_a_roomy_host_has_no_wall(tmp_path: Path) -> None:
    assert audit(MODEST, host(tmp_path)) == []


TASKS = 256 + OWN_TASKS
LOW = {
    "fs.file-max": (511, 512, True),
    "kernel.pid_max": (TASKS - 1, TASKS, True),
    "kernel.threads-max": (TASKS - 1, TASKS, True),
    "vm.max_map_count": (512 + OWN_TASKS - 1, 512 + OWN_TASKS, True),
    "net.core.somaxconn": (4095, 4096, False),
    "net.ipv4.tcp_max_syn_backlog": (255, 256, False),
}


@pytest.mark.parametrize("name", LOW)
def test_a_setting_that_is_one_too_low_is_a_wall_with_the_command_that_moves_it(tmp_path: Path, name: str) -> None:
    have, needed, fatal = LOW[name]
    (wall,) = audit(MODEST, host(tmp_path, {name: str(have)}))
    assert (wall.name, wall.have, wall.need, wall.fatal) == (name, have, needed, fatal)
    assert f"sysctl -w {name}={needed}" in str(wall)


@pytest.mark.parametrize("name", LOW)
def test_one_that_just_suffices_is_none(tmp_path: Path, name: str) -> None:
    assert audit(MODEST, host(tmp_path, {name: str(LOW[name][1])})) == []


WALLS: dict[str, tuple[dict[str, str], dict[str, Any], dict[str, Any], str, bool, str]] = {
    "open files": ({}, limit("open_files", 299), {}, "open files (RLIMIT_NOFILE, hard)", True, "ulimit -Hn 300"),
    "processes": (
        {},
        limit("processes", TASKS - 1),
        {"within": True},
        "processes of a user",
        True,
        f"ulimit -Hu {TASKS}",
    ),
    "pids.max": ({}, cgroup(pids_limit=TASKS + 4, pids_used=5), {"within": True}, "pids.max", True, "--pids-limit"),
    "memory": ({}, {"memory_available_bytes": 999}, {"memory_bytes": 1000}, "memory available", True, "fewer"),
    "memory of the cgroup": (
        {},
        cgroup(memory_limit_bytes=999),
        {"memory_bytes": 1000, "within": True},
        "memory limit of the harness's cgroup",
        True,
        "raise it to 1000",
    ),
    "quota below the server's cores": (
        {},
        cgroup(cpu_quota_cores=1.5),
        {"server_cores": 2, "cores": 3, "within": True},
        "CPU quota",
        True,
        "--cpuset-cpus",
    ),
    "quota below all cores": ({}, cgroup(cpu_quota_cores=1.5), {"cores": 2, "within": True}, "CPU quota", False, "1.5"),
    "resets on overflow": (
        {"net.ipv4.tcp_abort_on_overflow": "1"},
        {},
        {},
        "abort_on_overflow",
        False,
        "errors in place",
    ),
    "tracking, held": ({"net.netfilter.nf_conntrack_max": "255"}, {}, {}, "nf_conntrack_max", True, "sysctl -w"),
    "tracking, rate": ({}, {}, {"closed_per_s": 2_183.0}, "nf_conntrack_max", False, "2183 per second"),
    "tracking, closed loop": ({}, {}, {"closed_per_s": None}, "nf_conntrack_max", False, "as many as the server"),
    "clock": ({}, {"clock_source": "hpet"}, {}, "clock source", False, "dmesg"),
    "governor": ({}, {"governors": ("performance", "powersave")}, {}, "governor is powersave", False, "cpupower"),
}


@pytest.mark.parametrize("name", WALLS)
def test_what_the_plan_would_hit_is_a_wall(tmp_path: Path, name: str) -> None:
    settings, changes, asks, said, fatal, remedy = WALLS[name]
    (wall,) = audit(need(**asks), host(tmp_path, settings, **changes))
    assert said in str(wall)
    assert remedy in str(wall)
    assert wall.fatal is fatal


NONE: dict[str, tuple[dict[str, str], dict[str, Any], dict[str, Any]]] = {
    "pids.max of a cgroup that servers are not in": ({}, cgroup(pids_limit=5, pids_used=5), {}),
    "its memory limit": ({}, cgroup(memory_limit_bytes=1), {"memory_bytes": 1000}),
    "its quota": ({}, cgroup(cpu_quota_cores=0.5), {"cores": 2}),
    "a quota that suffices": ({}, cgroup(cpu_quota_cores=2.0), {"cores": 2, "within": True}),
    "pids.max that suffices": ({}, cgroup(pids_limit=TASKS + 5, pids_used=5), {"within": True}),
    "a limit of processes that does not bind root": ({}, {**limit("processes", 5), "as_root": True}, {"within": True}),
    "one that is not the engine's": ({}, limit("processes", 5), {}),
    "a rate that the table holds": ({}, {}, {"closed_per_s": 2_182.0}),
    "a table that is not in use": ({"net.netfilter.nf_conntrack_count": "0"}, {}, {"closed_per_s": None}),
    "many connections, and no task for each": (
        {"kernel.pid_max": "32768"},
        {},
        {"connections": 100_000, "tasks": 4, "threads": 0},
    ),
    "a virtual machine's clock": ({}, {"clock_source": "kvm-clock"}, {}),
    "an ARM machine's clock": ({}, {"clock_source": "arch_sys_counter"}, {}),
    "a clock that is not told": ({}, {"clock_source": None}, {}),
}


@pytest.mark.parametrize("name", NONE)
def test_what_it_would_not_hit_is_none(tmp_path: Path, name: str) -> None:
    settings, changes, asks = NONE[name]
    assert audit(need(**asks), host(tmp_path, settings, **changes)) == []


def test_more_files_than_the_kernel_lets_a_limit_be_need_that_moved_first(tmp_path: Path) -> None:
    found = audit(need(open_files=2_000_000), host(tmp_path, **limit("open_files", 20_000)))
    assert [wall.name for wall in found] == ["open files (RLIMIT_NOFILE, hard)", "fs.nr_open"]


def test_fatal_walls_come_first(tmp_path: Path) -> None:
    settings = {"net.core.somaxconn": "128", "fs.file-max": "2", "kernel.pid_max": "100"}
    assert [wall.fatal for wall in audit(MODEST, host(tmp_path, settings))] == [True, True, False]


def test_a_setting_that_a_kernel_does_not_have_is_no_wall(tmp_path: Path) -> None:
    bare = collect_settings(tmp_path).model_copy(update={"limits": NO_LIMITS})
    assert audit(need(connections=10**6, tasks=10**6, memory_bytes=10**15, closed_per_s=None), bare) == []


def test_this_very_host_can_be_audited() -> None:
    found = audit(Need(open_files=10**9, connections=10**6, backlog=10**6), collect_settings())
    assert any(wall.fatal for wall in found)


@pytest.mark.parametrize(
    ("siblings", "server", "client", "shared"),
    [
        (((0, 2), (1, 3)), (3,), (0, 2), []),
        (((0, 2), (1, 3)), (2, 3), (0, 1), ["0, 2", "1, 3"]),
        (((0, 2), (1, 3)), (1, 3), (0, 2), []),
        (((0, 2), (1, 3)), (1,), (0, 2, 3), ["1, 3"]),
        ((), (1,), (0,), []),
        (((0,),), (0,), (0,), []),  # one CPU for all: that is told elsewhere
    ],
)
def test_two_sides_on_one_physical_core_are_a_wall_with_its_name(
    tmp_path: Path, siblings: Any, server: tuple[int, ...], client: tuple[int, ...], shared: list[str]
) -> None:
    found = shared_cores(server, client, host(tmp_path, siblings=siblings))
    assert [wall.name for wall in found] == [f"physical core of CPUs {core}" for core in shared]
    assert all("smt/control" in wall.remedy and not wall.fatal for wall in found)


def test_a_wall_is_a_sentence_with_both_numbers_and_the_remedy() -> None:
    assert str(Wall("a", 1, 2, "do b", fatal=True)) == "a is 1, the plan needs 2; do b"
