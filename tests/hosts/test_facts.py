"""Facts are complete here, None where a host does not tell, and name no path of this machine."""

import getpass
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.hosts.facts import CHECKOUT, collect_facts, git_facts, package_versions


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    return collect_facts()


def texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


def test_this_host_tells_what_every_linux_tells(facts: dict[str, Any]) -> None:
    assert facts["kernel"]["release"] == platform.release()
    assert facts["python"]["version"] == platform.python_version()
    assert facts["cpu"]["usable"] == sorted(os.sched_getaffinity(0))
    assert facts["cpu"]["model"]
    assert facts["cpu"]["cores"] >= 1
    assert facts["memory"]["total_bytes"] > 1 << 28
    assert facts["cgroup"] in ("v1", "v2", "hybrid")


def test_they_are_json(facts: dict[str, Any]) -> None:
    assert json.loads(json.dumps(facts)) == facts


def test_they_name_neither_a_path_nor_the_user_nor_the_machine(facts: dict[str, Any]) -> None:
    said = list(texts(facts))
    assert [text for text in said if text.startswith("/") or str(CHECKOUT) in text] == []
    assert platform.node() not in said
    assert getpass.getuser() not in said


def test_a_host_that_tells_nothing_has_every_fact_as_none(tmp_path: Path, facts: dict[str, Any]) -> None:
    bare = collect_facts(root=tmp_path, checkout=tmp_path)
    assert bare.keys() == facts.keys()
    assert bare["cpu"].keys() == facts["cpu"].keys()
    for fact in ("os", "cgroup"):
        assert bare[fact] is None
    assert bare["memory"]["total_bytes"] is None
    assert bare["cpu"]["model"] is None
    assert bare["packages"] == {}


@pytest.mark.parametrize(
    ("mounts", "version"),
    [
        ("31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "v2"),
        ("31 23 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", "v1"),
        ("1 2 0:1 / /a rw - cgroup cgroup rw,cpu\n3 2 0:2 / /b rw - cgroup2 cgroup2 rw\n", "hybrid"),
    ],
)
def test_the_version_of_cgroups_is_read_from_the_mounts(tmp_path: Path, mounts: str, version: str) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(mounts)
    assert collect_facts(tmp_path, tmp_path)["cgroup"] == version


@pytest.mark.parametrize(
    ("path", "content", "keys", "expected"),
    [
        ("proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n", ("virtualisation", "wsl"), True),
        ("proc/cpuinfo", "flags\t\t: fpu hypervisor lahf_lm\n", ("virtualisation", "hypervisor_flag"), True),
        (
            "proc/cpuinfo",
            "CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n",
            ("cpu", "model"),
            "implementer 0x41 part 0xd0c",
        ),
        (
            "etc/os-release",
            'NAME="x"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
            ("os",),
            "Debian GNU/Linux 13 (trixie)",
        ),
    ],
)
def test_recorded_files_of_other_hosts(
    tmp_path: Path, path: str, content: str, keys: tuple[str, ...], expected: object
) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(content)
    fact: Any = collect_facts(tmp_path, tmp_path)
    for key in keys:
        fact = fact[key]
    assert fact == expected


def test_cpus_that_share_a_core_are_one_core(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings + "\n")
        (folder / "physical_package_id").write_text("0\n")
    cpu_facts = collect_facts(tmp_path, tmp_path)["cpu"]
    assert (cpu_facts["cores"], cpu_facts["sockets"]) == (2, 1)


def test_packages_are_those_of_the_lock_that_are_installed(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/runtime.txt").write_text("pytest==0.1 \\\n    --hash=x\nno-such-package==1.0\n# pip==3\n")
    assert package_versions(tmp_path) == {"pytest": pytest.__version__}


class TestGit:
    def test_a_checkout_has_a_commit_and_is_clean_or_dirty(self, tmp_path: Path) -> None:
        identity = ("-c", "user.name=n", "-c", "user.email=e")
        for arguments in (("init", "-q"), (*identity, "commit", "-q", "--allow-empty", "-m", "first")):
            subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
        clean = git_facts(tmp_path)
        assert len(str(clean["commit"])) == 40
        assert clean["dirty"] is False
        (tmp_path / "new").write_text("")
        assert git_facts(tmp_path) == {"commit": clean["commit"], "dirty": True}

    def test_a_folder_inside_someone_elses_checkout_has_none(self, tmp_path: Path) -> None:
        subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
        (tmp_path / "unpacked").mkdir()
        assert git_facts(tmp_path / "unpacked") == {"commit": None, "dirty": None}

    def test_no_git_at_all_is_tolerated(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert git_facts(tmp_path) == {"commit": None, "dirty": None}
