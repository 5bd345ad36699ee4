"""Both versions of cgroups: recorded files of each, and the real one of this host."""

import os
import time
from pathlib import Path

import pytest

from probe.cgroups import CgroupV1, CgroupV2, cgroup_of
from probe.files import Gone
from probe.locate import locate

SCOPE = "system.slice/docker-4f5c.scope"
V2_MOUNT = "29 23 0:26 {top} /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V2_FILES = {
    "cpu.stat": "usage_usec 5213423\nuser_usec 4109396\nsystem_usec 1104027\nnice_usec 0\ncore_sched.force_idle_usec 0\n"
    "nr_periods 52\nnr_throttled 7\nthrottled_usec 250000\nnr_bursts 0\nburst_usec 0\n",
    "memory.current": "67284992\n",
    "memory.stat": "anon 9408512\nfile 55500800\nkernel 1900544\ninactive_anon 9400320\nactive_anon 0\n"
    "inactive_file 50000000\nactive_file 5500800\nunevictable 0\n",
    "cgroup.procs": "4711\n4712\n",
    "cgroup.threads": "4711\n4712\n4713\n",
}
V1_MOUNTS = (
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "36 31 0:33 / /sys/fs/cgroup/memory rw,nosuid shared:10 - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,nosuid shared:11 - cgroup2 cgroup2 rw,nsdelegate\n"
)
V1_LINES = "4:memory:/docker/4f5c\n3:cpu,cpuacct:/docker/4f5c\n1:name=systemd:/docker/4f5c\n0::/system.slice/containerd.service\n"
V1_CPU = {
    "cpuacct.usage": "5000000000\n",
    "cpuacct.usage_user": "3000000000\n",
    "cpuacct.usage_sys": "1000000000\n",
    "cpu.stat": "nr_periods 52\nnr_throttled 7\nthrottled_time 250000000\n",
    "cgroup.procs": "4711\n4712\n",
    "tasks": "4711\n4712\n4713\n",
}
V1_MEMORY = {
    "memory.usage_in_bytes": "67284992\n",
    "memory.stat": "cache 142409728\nrss 1409024\ninactive_file 1\ntotal_cache 142409728\ntotal_inactive_file 50000000\n",
    "cgroup.procs": "4711\n4712\n",
}


def lay(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content)


def v2_host(root: Path, path: str = f"/{SCOPE}", top: str = "/") -> None:
    lay(root / "proc/4711", {"cgroup": f"0::{path}\n"})
    lay(root / "proc/self", {"mountinfo": "23 1 8:1 / / rw - ext4 /dev/vda rw\n" + V2_MOUNT.format(top=top)})
    lay(root / "sys/fs/cgroup", {"cgroup.procs": "1\n2\n"})
    lay(root / "sys/fs/cgroup" / SCOPE, V2_FILES)


def v1_host(root: Path) -> None:
    lay(root / "proc/4711", {"cgroup": V1_LINES})
    lay(root / "proc/self", {"mountinfo": V1_MOUNTS})
    lay(root / "sys/fs/cgroup/cpu,cpuacct/docker/4f5c", V1_CPU)
    lay(root / "sys/fs/cgroup/memory/docker/4f5c", V1_MEMORY)


def test_version_2_is_read(tmp_path: Path) -> None:
    v2_host(tmp_path)
    cgroup = cgroup_of(4711, str(tmp_path))
    assert isinstance(cgroup, CgroupV2)
    assert cgroup.cpu_s() == (4.109396, 1.104027)
    assert cgroup.throttled_s() == 0.25
    assert cgroup.memory_bytes() == 17_284_992
    assert (cgroup.pids(), cgroup.threads()) == ([4711, 4712], 3)


def test_version_1_is_read_with_the_sum_exact_and_divided_as_sampled(tmp_path: Path) -> None:
    v1_host(tmp_path)
    cgroup = cgroup_of(4711, str(tmp_path))
    assert isinstance(cgroup, CgroupV1)
    assert cgroup.cpu_s() == (3.75, 1.25)
    assert cgroup.throttled_s() == 0.25
    assert cgroup.memory_bytes() == 17_284_992
    assert (cgroup.pids(), cgroup.threads()) == ([4711, 4712], 3)


def test_version_1_of_an_old_kernel_divides_by_ticks(tmp_path: Path) -> None:
    v1_host(tmp_path)
    folder = tmp_path / "sys/fs/cgroup/cpu,cpuacct/docker/4f5c"
    (folder / "cpuacct.usage_user").unlink()
    lay(folder, {"cpuacct.stat": "user 100\nsystem 300\n"})
    assert cgroup_of(4711, str(tmp_path)).cpu_s() == (1.25, 3.75)


def test_neither_part_of_the_cpu_time_ever_falls(tmp_path: Path) -> None:
    v1_host(tmp_path)
    cgroup = cgroup_of(4711, str(tmp_path))
    before = cgroup.cpu_s()
    folder = tmp_path / "sys/fs/cgroup/cpu,cpuacct/docker/4f5c"
    lay(folder, {"cpuacct.usage": "5100000000\n", "cpuacct.usage_sys": "9000000000\n"})
    user_s, system_s = cgroup.cpu_s()
    assert user_s >= before[0]
    assert system_s >= before[1]
    assert user_s + system_s == pytest.approx(5.1)


@pytest.mark.parametrize("missing", ["memory.current", "memory.stat"])
def test_without_the_memory_controller_memory_is_not_known(tmp_path: Path, missing: str) -> None:
    v2_host(tmp_path)
    (tmp_path / "sys/fs/cgroup" / SCOPE / missing).unlink()
    assert cgroup_of(4711, str(tmp_path)).memory_bytes() is None


def test_without_the_cpu_controller_throttling_is_not_known(tmp_path: Path) -> None:
    v2_host(tmp_path)
    lay(tmp_path / "sys/fs/cgroup" / SCOPE, {"cpu.stat": "usage_usec 3\nuser_usec 2\nsystem_usec 1\n"})
    assert cgroup_of(4711, str(tmp_path)).throttled_s() is None


def test_version_1_without_memory_and_cpu_hierarchies(tmp_path: Path) -> None:
    v1_host(tmp_path)
    lay(tmp_path / "proc/4711", {"cgroup": "3:cpuacct:/docker/4f5c\n"})
    cgroup = cgroup_of(4711, str(tmp_path))
    assert (cgroup.memory_bytes(), cgroup.throttled_s()) == (None, None)


def test_a_cgroup_that_was_removed_is_gone(tmp_path: Path) -> None:
    v2_host(tmp_path)
    cgroup = cgroup_of(4711, str(tmp_path))
    for file in (tmp_path / "sys/fs/cgroup" / SCOPE).iterdir():
        file.unlink()
    with pytest.raises(Gone):
        cgroup.cpu_s()


@pytest.mark.parametrize(
    ("path", "top"),
    [
        (f"/{SCOPE}", "/"),
        ("/../docker-4f5c.scope", "/"),  # seen from a cgroup namespace of its own
        ("/../docker-4f5c.scope", "/../.."),  # and the host's tree mounted into it
        ("/", "/"),  # the path says the root, the process is elsewhere: a namespace that was entered later
        ("/elsewhere/docker-4f5c.scope", "/"),
    ],
)
def test_a_cgroup_is_found_whatever_its_path_looks_like_from_here(tmp_path: Path, path: str, top: str) -> None:
    v2_host(tmp_path, path, top)
    assert locate(4711, "", str(tmp_path)) == str(tmp_path / "sys/fs/cgroup" / SCOPE)


def test_a_mount_of_one_part_of_the_tree_leads_there_too(tmp_path: Path) -> None:
    v2_host(tmp_path, "/part/inner", "/part")
    lay(tmp_path / "sys/fs/cgroup/inner", V2_FILES)
    assert locate(4711, "", str(tmp_path)) == str(tmp_path / "sys/fs/cgroup/inner")


def test_a_mount_point_with_a_blank_is_understood(tmp_path: Path) -> None:
    v2_host(tmp_path)
    mounts = tmp_path / "proc/self/mountinfo"
    mounts.write_text(V2_MOUNT.format(top="/").replace("/sys/fs/cgroup", "/host\\040cgroup"))
    lay(tmp_path / "host cgroup" / SCOPE, V2_FILES)
    assert locate(4711, "", str(tmp_path)) == str(tmp_path / "host cgroup" / SCOPE)


def test_a_cgroup_that_cannot_be_seen_says_what_to_mount(tmp_path: Path) -> None:
    v2_host(tmp_path)
    lay(tmp_path / "sys/fs/cgroup" / SCOPE, {"cgroup.procs": "9\n"})
    with pytest.raises(LookupError, match=r"process 4711 .* mount the host's /sys/fs/cgroup read-only"):
        cgroup_of(4711, str(tmp_path))


def test_a_process_that_has_ended_is_gone(tmp_path: Path) -> None:
    v2_host(tmp_path)
    with pytest.raises(Gone):
        cgroup_of(4712, str(tmp_path))


def test_the_real_cgroup_of_this_process_has_it_and_its_cpu_time() -> None:
    cgroup = cgroup_of(os.getpid())
    before_s = sum(cgroup.cpu_s())
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    assert sum(cgroup.cpu_s()) - before_s >= 0.19
    assert os.getpid() in cgroup.pids()
    assert cgroup.threads() >= len(cgroup.pids())
