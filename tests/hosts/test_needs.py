"""What a model needs of the kernel is looked for where its server will run, and the missing knob is named."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.hosts.needs import IO_URING_PROBE, io_uring_trouble

FORBIDDING = Path(__file__).with_name("forbidding.py")

TROUBLES = {
    "the kernel has none": (errno.ENOSYS, None, False, False, ["no io_uring (ENOSYS); use Linux 6.1"]),
    "none, or hidden": (errno.ENOSYS, None, True, False, ["or a seccomp profile hides it"]),
    "too old": (errno.EINVAL, None, False, False, ["too old (EINVAL)", "6.1"]),
    "switched off": (errno.EPERM, 2, False, False, ["disabled is 2: nobody", "sysctl -w kernel.io_uring_disabled=0"]),
    "for the privileged": (errno.EPERM, 1, True, True, ["disabled is 1: only", "sysctl -w kernel.io_uring_disabled=0"]),
    "a filter here": (errno.EPERM, 0, False, False, ["a seccomp filter on this process", "RUNTIME=docker"]),
    "a filter, old kernel": (errno.EPERM, None, False, False, ["a seccomp filter on this process"]),
    "the engine's profile": (
        errno.EPERM,
        0,
        True,
        False,
        ["the engine's seccomp profile", "`seccomp` in its model.yaml"],
    ),
    "a security module": (errno.EPERM, 0, True, True, ["in spite of the model's seccomp profile", "AppArmor"]),
    "out of descriptors": (errno.EMFILE, 0, False, False, ["Too many open files", "limits"]),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_each_knob_is_told_apart(name: str) -> None:
    error, disabled, container, own_profile, words = TROUBLES[name]
    line = json.dumps({"errno": error, "disabled": disabled})
    trouble = io_uring_trouble(line, container=container, own_profile=own_profile)
    assert trouble is not None
    assert "\n" not in trouble
    assert all(word in trouble for word in words), trouble


def test_nothing_is_said_where_it_may_be_used() -> None:
    line = json.dumps({"errno": 0, "disabled": 0})
    assert io_uring_trouble(line, container=True, own_profile=True) is None


def probe(*before: str) -> "dict[str, int | None]":
    argv = [*before, sys.executable, "-c", IO_URING_PROBE, "ignored"]
    found: dict[str, int | None] = json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=30).stdout)
    return found


def test_the_kernel_itself_is_asked() -> None:
    setting = Path("/proc/sys/kernel/io_uring_disabled")
    disabled = int(setting.read_text()) if setting.exists() else None
    expected = errno.EPERM if disabled else 0
    assert probe() == {"errno": expected, "disabled": disabled}


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOSYS])
def test_a_seccomp_filter_is_noticed(error: int) -> None:
    assert probe(sys.executable, str(FORBIDDING), str(error))["errno"] == error
