"""The reactor's variants, for the tests of it."""

from collections.abc import Mapping

import psutil
import pytest

VARIANTS: dict[str, Mapping[str, object]] = {
    "single": {"variant": "single"},
    "threads": {"variant": "main-sub", "loops_in": "threads"},
    "processes": {"variant": "main-sub", "loops_in": "processes"},
    "pool": {"variant": "pool"},
    "uvloop": {"variant": "uvloop"},
}
variants = pytest.mark.parametrize("variant", VARIANTS)


def connections_of(process: psutil.Process, port: int) -> list[object]:
    """Connections of a process on the server's port, in whatever state, but for the listening socket."""
    sockets = process.net_connections("tcp")
    return [one for one in sockets if one.laddr.port == port and one.status != psutil.CONN_LISTEN]
