"""The audit's settings are complete here, None where a host does not tell, and name no path of this machine."""

import getpass
import os
import platform
import resource
from pathlib import Path
from typing import Any

import pytest

from harness.hosts.cgroup import CgroupLimits, own_cgroup_limits
from harness.hosts.cpu import cpu_list
from harness.hosts.settings import SYSCTLS, HostAudit, Limit, collect_settings
from tests.hosts.test_facts import texts


def lay(root: Path, **files: str) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_this_host_tells_what_every_linux_tells() -> None:
    host = collect_settings()
    assert host.kernel == platform.release()
    assert (host.number("net.core.somaxconn") or 0) > 0
    assert len(str(host.sysctls["net.ipv4.ip_local_port_range"]).split()) == 2
    assert host.limits["open_files"].soft != 0
    assert host.load_average is not None
    assert len(host.load_average) == 3
    assert (host.memory_available_bytes or 0) > 1 << 20
    assert 0 < host.switch_interval_s < 1
    assert (host.timer_slack_ns or 0) > 0
    assert set(os.sched_getaffinity(0)) <= {cpu for core in host.siblings for cpu in core}


def test_limits_are_this_processs_own_and_no_limit_is_said_in_a_word() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    expected = "unlimited" if hard == resource.RLIM_INFINITY else hard
    found = collect_settings().limits["address_space_bytes"]
    assert found.hard == expected
    assert Limit(soft="unlimited", hard="unlimited").stops(10**12) is None
    assert (Limit(soft=1, hard=5).stops(5), Limit(soft=1, hard=5).stops(6)) == (None, 5)


def test_they_come_back_from_json_as_they_were() -> None:
    host = collect_settings()
    assert HostAudit.model_validate_json(host.model_dump_json()) == host


def test_they_name_neither_a_path_nor_the_user_nor_the_machine() -> None:
    said = list(texts(collect_settings().model_dump(mode="json")))
    assert [text for text in said if text.startswith("/")] == []
    assert platform.node() not in said
    assert getpass.getuser() not in said


def test_a_host_that_tells_nothing_has_every_setting_as_none(tmp_path: Path) -> None:
    bare = collect_settings(tmp_path)
    assert bare.sysctls == dict.fromkeys(SYSCTLS)
    assert (bare.kernel, bare.clock_source, bare.load_average, bare.turbo, bare.smt) == (None,) * 5
    assert (bare.governors, bare.siblings, bare.mitigations) == ((), (), {})
    assert set(bare.cgroup.model_dump().values()) == {None}
    assert bare.number("fs.file-max") is None


@pytest.mark.parametrize(
    ("path", "content", "field", "expected"),
    [
        ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n", "transparent_huge_pages", "madvise"),
        ("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n", "turbo", False),
        ("sys/devices/system/cpu/cpufreq/boost", "1\n", "turbo", True),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n", "governors", ("schedutil",)),
        ("sys/devices/system/cpu/cpu7/topology/thread_siblings_list", "3,7\n", "siblings", ((3, 7),)),
        ("sys/devices/system/cpu/smt/control", "off\n", "smt", "off"),
        ("sys/devices/system/cpu/vulnerabilities/mds", "Not affected\n", "mitigations", {"mds": "Not affected"}),
        ("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n", "clock_source", "hpet"),
        ("proc/loadavg", "0.50 0.25 0.12 1/99 4711\n", "load_average", (0.5, 0.25, 0.12)),
        ("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:   1024 kB\n", "memory_available_bytes", 1 << 20),
        ("proc/self/timerslack_ns", "50000\n", "timer_slack_ns", 50_000),
    ],
)
def test_recorded_files_of_other_hosts(tmp_path: Path, path: str, content: str, field: str, expected: object) -> None:
    lay(tmp_path, **{path: content})
    assert getattr(collect_settings(tmp_path), field) == expected


@pytest.mark.parametrize(
    ("uid_map", "euid", "root"),
    [
        ("         0          0 4294967295\n", 0, True),
        ("         0          0 4294967295\n", 1000, False),
        ("         0     100000      65536\n", 0, False),  # of a user namespace
        ("", 0, False),
    ],
)
def test_root_is_the_hosts_own_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid_map: str, euid: int, root: bool
) -> None:
    lay(tmp_path, **{"proc/self/uid_map": uid_map})
    monkeypatch.setattr("os.geteuid", lambda: euid)
    assert collect_settings(tmp_path).as_root is root


def test_a_setting_that_is_there_and_empty_is_not_unknown(tmp_path: Path) -> None:
    lay(tmp_path, **{"proc/sys/net/ipv4/ip_local_reserved_ports": "\n", "proc/sys/net/ipv4/tcp_mem": "1\t2\t3\n"})
    found = collect_settings(tmp_path).sysctls
    assert (found["net.ipv4.ip_local_reserved_ports"], found["net.ipv4.tcp_mem"]) == ("", "1 2 3")


@pytest.mark.parametrize(
    ("written", "cpus"), [("0", (0,)), ("0-3", (0, 1, 2, 3)), ("0,4", (0, 4)), ("0-1,8-9", (0, 1, 8, 9)), ("", ())]
)
def test_lists_of_cpus_are_read_as_the_kernel_writes_them(written: str, cpus: tuple[int, ...]) -> None:
    assert cpu_list(written) == cpus


V2_MOUNT = "29 23 0:26 {top} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1_MOUNTS = "".join(
    f"{number} 31 0:{number} / /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n"
    for number, name in enumerate(("cpu", "cpuset", "memory", "pids"), 32)
)
V1_LINES = "4:memory:/job\n3:cpu:/job\n2:pids:/job\n1:cpuset:/job\n0::/\n"
TREES: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "v2, its own": (
        {
            "proc/self/cgroup": "0::/user.slice/job.scope\n",
            "proc/self/mountinfo": V2_MOUNT.format(top="/"),
            "sys/fs/cgroup/user.slice/job.scope/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/user.slice/job.scope/cpuset.cpus.effective": "0-1\n",
            "sys/fs/cgroup/user.slice/job.scope/memory.max": "1000000\n",
            "sys/fs/cgroup/user.slice/job.scope/pids.max": "500\n",
            "sys/fs/cgroup/user.slice/job.scope/pids.current": "7\n",
        },
        {"cpu_quota_cores": 1.5, "cpuset": "0-1", "memory_limit_bytes": 1_000_000, "pids_limit": 500, "pids_used": 7},
    ),
    "v2, the slice around it": (
        {
            "proc/self/cgroup": "0::/user.slice/job.scope\n",
            "proc/self/mountinfo": V2_MOUNT.format(top="/"),
            "sys/fs/cgroup/user.slice/job.scope/cpu.max": "max 100000\n",
            "sys/fs/cgroup/user.slice/job.scope/memory.max": "max\n",
            "sys/fs/cgroup/user.slice/job.scope/pids.max": "500\n",
            "sys/fs/cgroup/user.slice/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/user.slice/memory.max": "2000000\n",
            "sys/fs/cgroup/user.slice/pids.max": "300\n",
            "sys/fs/cgroup/user.slice/pids.current": "9\n",
        },
        {"cpu_quota_cores": 0.5, "memory_limit_bytes": 2_000_000, "pids_limit": 300, "pids_used": 9},
    ),
    "v2, in a container": (
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2_MOUNT.format(top="/"),
            "sys/fs/cgroup/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/pids.max": "max\n",
        },
        {"cpu_quota_cores": 2.0},
    ),
    "v2, a path that leads out of what is mounted": (
        {
            "proc/self/cgroup": "0::/../other\n",
            "proc/self/mountinfo": V2_MOUNT.format(top="/part"),
            "sys/fs/cgroup/memory.max": "4096\n",
        },
        {"memory_limit_bytes": 4096},
    ),
    "v1": (
        {
            "proc/self/cgroup": V1_LINES,
            "proc/self/mountinfo": V1_MOUNTS,
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpuset/job/cpuset.cpus": "2-3\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "8192\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/pids/job/pids.max": "max\n",
        },
        {"cpu_quota_cores": 3.0, "cpuset": "2-3", "memory_limit_bytes": 8192},
    ),
    "v1 without a limit": (
        {
            "proc/self/cgroup": V1_LINES,
            "proc/self/mountinfo": V1_MOUNTS,
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "9223372036854771712\n",
        },
        {},
    ),
}


@pytest.mark.parametrize("name", TREES)
def test_the_tightest_limit_of_the_cgroups_around_this_process(tmp_path: Path, name: str) -> None:
    files, expected = TREES[name]
    lay(tmp_path, **files)
    assert own_cgroup_limits(tmp_path) == CgroupLimits(**{**dict.fromkeys(CgroupLimits.model_fields), **expected})
