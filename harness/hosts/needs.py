"""What a model needs of the kernel beside what every server needs: how to find out, and what to say where it is missing."""

import errno
import json
import os
from pathlib import Path

# The text of a program that prints one line, to be run as the server would be run (see there).
IO_URING_PROBE = Path(__file__).with_name("io_uring.py").read_text("utf-8")

_SWITCHED_OFF = {
    1: "kernel.io_uring_disabled is 1: only privileged processes and the group kernel.io_uring_group may use it",
    2: "kernel.io_uring_disabled is 2: nobody may use it",
}


def io_uring_trouble(line: str, *, container: bool, own_profile: bool) -> str | None:
    """What stands in the way of io_uring, and what to do; None where nothing does.

    Args:
        line: what the probe has printed.
        container: it ran in a container.
        own_profile: that container ran under a seccomp profile of the model's own.

    Raises:
        ValueError: the line is not the probe's.
    """
    answer = json.loads(line)
    error, disabled = int(answer["errno"]), answer["disabled"]
    if error == 0:
        return None
    if error == errno.ENOSYS:
        hidden = ", or a seccomp profile hides it" if container else ""
        return f"the kernel has no io_uring (ENOSYS){hidden}; use Linux 6.1 or newer, built with CONFIG_IO_URING"
    if error == errno.EINVAL:
        return "the kernel's io_uring is too old (EINVAL); use Linux 6.1 or newer"
    if error == errno.EPERM and disabled in _SWITCHED_OFF:
        return f"{_SWITCHED_OFF[disabled]}; run as root `sysctl -w kernel.io_uring_disabled=0`"
    if error == errno.EPERM:
        return _forbidden(container, own_profile)
    return f"io_uring_setup fails: {os.strerror(error)}; look at the limits of open files and memory"


def _forbidden(container: bool, own_profile: bool) -> str:
    if not container:
        return (
            "a seccomp filter on this process forbids it (EPERM), as in a container; "
            "run the harness outside of it, or use RUNTIME=docker"
        )
    if own_profile:
        return (
            "it is forbidden in spite of the model's seccomp profile (EPERM); a security module of the engine's host "
            "(AppArmor, SELinux) does this, see its log (`dmesg`)"
        )
    return (
        "the engine's seccomp profile forbids it (EPERM); give the model one of its own that allows io_uring_setup, "
        "io_uring_enter and io_uring_register (`seccomp` in its model.yaml)"
    )
