"""The facts of many hosts, ready for JSON."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from harness.errors import HostError
from harness.hosts.connection import Connection
from harness.hosts.remote import RemoteHost, read_host


def facts_of_all(connections: Mapping[str, Connection]) -> tuple[dict[str, Any], list[str]]:
    """What every host is, by name, and why some cannot tell; all are asked at the same time.

    Args:
        connections: by name.
    """
    with ThreadPoolExecutor(max(1, len(connections))) as pool:
        found = list(pool.map(_read, connections.values()))
    told = {name: _plain(one) for name, one in zip(connections, found, strict=True) if isinstance(one, RemoteHost)}
    return told, [str(one) for one in found if isinstance(one, HostError)]


def _read(connection: Connection) -> RemoteHost | HostError:
    try:
        return read_host(connection)
    except HostError as error:
        return error


def _plain(host: RemoteHost) -> dict[str, Any]:
    return {
        "boot_id": host.boot_id,
        "architecture": host.architecture,
        "cpus": list(host.cpus),
        **host.facts,
        "room": asdict(host.room),
        "audit": host.audit.model_dump(mode="json"),
    }
