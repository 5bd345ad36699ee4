"""Looks at a server's memory, made up for the tests of what follows from them."""

from typing import Any

from harness.raw import MemoryLook

MIB = 1 << 20


def look(connections: int | None, at_ns: int = 0, **changes: Any) -> MemoryLook:
    """A server of 30 MiB, 10 of them files, that each connection makes larger by 40 KiB of its own pages."""
    held = connections or 0
    fields: dict[str, Any] = {
        "at_ns": at_ns,
        "processes": 1,
        "threads": 1,
        "pss_bytes": 30 * MIB + 40_960 * held,
        "pss_file_bytes": 10 * MIB,
        "page_table_bytes": 65_536,
        "kernel_stack_bytes": 16_384,
        "connections": connections,
        "socket_queued_bytes": 0,
        "socket_reserved_bytes": 4_096 * held,
        "socket_structure_bytes": 3_584 * held,
        "cgroup_bytes": None,
    }
    return MemoryLook.model_validate({**fields, **changes})
