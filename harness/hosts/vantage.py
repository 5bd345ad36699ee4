"""Who reads a host's settings: the process whose limits, user and CPUs they are about."""

import os
import platform
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass

UNLIMITED = -1
"""How the kernel writes no limit (RLIM_INFINITY)."""

LIMITS = {
    "open_files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
    "stack_bytes": resource.RLIMIT_STACK,
    "address_space_bytes": resource.RLIMIT_AS,
    "locked_memory_bytes": resource.RLIMIT_MEMLOCK,
}


@dataclass(frozen=True)
class Vantage:
    """What a process knows of itself without reading a file."""

    limits: Mapping[str, tuple[int, int]]  # by the names of LIMITS: soft and hard, UNLIMITED for none
    as_root: bool
    cpus: tuple[int, ...]  # that it may use, in order
    machine: str  # as uname has it: x86_64, aarch64
    switch_interval_s: float  # of its Python


def own_vantage() -> Vantage:
    """This process's."""
    return Vantage(
        limits={name: resource.getrlimit(kind) for name, kind in LIMITS.items()},
        as_root=os.geteuid() == 0,
        cpus=tuple(sorted(os.sched_getaffinity(0))),
        machine=platform.machine(),
        switch_interval_s=sys.getswitchinterval(),
    )
