"""What a service holds in memory: pages, page tables, stacks, sockets; of real processes."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from harness.raw import MemoryLook
from probe.memory import KERNEL_STACK_BYTES
from probe.sockets import Held, held, structure_bytes
from tests.probe.conftest import DEADLINE_S, Probe, Target

MIB = 1 << 20
FORKED = """
    import os, sys
    ballast = b'x' * (64 << 20)
    for _ in range(3):
        if os.fork() == 0:
            sys.stdin.read()
            os._exit(0)
"""


def weighed(probe: Probe, **service: Any) -> MemoryLook:
    running = probe(server={"cgroup": False, **service})
    assert running.edge(signal.SIGUSR2)["event"] == "memory"
    report = running.report()
    assert report["edges"] == {"server": []}
    return MemoryLook.model_validate(report["memory"]["server"][0])


def test_memory_that_forked_workers_share_is_counted_once(probe: Probe, target: Target) -> None:
    look = weighed(probe, pid=target(FORKED).pid)
    assert look.processes == 4
    assert look.pss_bytes is not None
    assert 64 * MIB <= look.pss_bytes < 2 * 64 * MIB


def test_pages_of_files_are_told_apart(probe: Probe, target: Target, tmp_path: Path) -> None:
    file = tmp_path / "mapped"
    file.write_bytes(b"x" * (32 * MIB))
    script = f"""
        import mmap, os
        memory = mmap.mmap(os.open({str(file)!r}, os.O_RDONLY), 0, prot=mmap.PROT_READ)
        sum(memory[::4096])
    """
    look = weighed(probe, pid=target(script).pid)
    assert look.pss_file_bytes is not None
    assert look.pss_bytes is not None
    assert 32 * MIB <= look.pss_file_bytes <= look.pss_bytes
    assert look.pss_bytes - look.pss_file_bytes < 16 * MIB


def test_page_tables_grow_with_the_pages_touched(probe: Probe, target: Target) -> None:
    """A page of a table, 4 KiB, holds the entries of 2 MiB: 64 MiB in pages of 4 KiB need 128 KiB of tables."""
    script = "import mmap; m = mmap.mmap(-1, {0} << 20); m.madvise(mmap.MADV_NOHUGEPAGE); m[::4096] = bytes({0} << 8)"
    tables = [weighed(probe, pid=target(script.format(mib)).pid).page_table_bytes for mib in (1, 65)]
    assert tables[0] is not None
    assert tables[1] is not None
    assert 96 << 10 <= tables[1] - tables[0] <= 192 << 10


def test_every_thread_has_a_stack_in_the_kernel(probe: Probe, target: Target) -> None:
    script = """
        import threading
        for _ in range(9):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
    """
    look = weighed(probe, pid=target(script).pid)
    assert look.threads == 10
    assert look.kernel_stack_bytes == 10 * KERNEL_STACK_BYTES


def test_a_stack_is_as_large_as_the_hosts_sum_over_all_threads_says() -> None:
    """Within a factor: threads come and go between the two readings, and the dead are counted without a stack."""
    kib = next(line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if "KernelStack" in line)
    living = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    threads = 0
    for pid in living:
        with suppress(OSError):
            threads += len(list(Path(f"/proc/{pid}/task").iterdir()))
    assert KERNEL_STACK_BYTES / 1.9 < int(kib) * 1024 / threads < KERNEL_STACK_BYTES * 1.9


@pytest.fixture(params=["127.0.0.1", "::1"])
def pairs(request: pytest.FixtureRequest) -> Iterator[tuple[int, list[socket.socket], list[socket.socket]]]:
    """A port, and four connections to it: the client's ends and the server's."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((request.param, 0), family=family))
        port = listener.getsockname()[1]
        clients = [stack.enter_context(socket.create_connection((request.param, port))) for _ in range(4)]
        servers = [stack.enter_context(listener.accept()[0]) for _ in clients]
        yield port, clients, servers


def settled(port: int, queued_bytes: int) -> Held:
    """The sockets of a port, once at least so much is queued: the loopback delivers a moment later."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        found = held("/proc", os.getpid(), port)
        assert found is not None
        if found.queued_bytes >= queued_bytes or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


def test_what_a_server_has_not_read_is_memory_of_its_sockets(
    pairs: tuple[int, list[socket.socket], list[socket.socket]],
) -> None:
    """The kernel counts a buffer at its true size: whole pages and its own header, never less than the bytes in it."""
    port, clients, servers = pairs
    assert settled(port, 0) == Held(4, 0, settled(port, 0).reserved_bytes)
    for client in clients:
        client.sendall(b"x" * 20_000)
    assert 4 * 20_000 <= settled(port, 4 * 20_000).queued_bytes <= 4 * 4 * 20_000
    for server in servers:
        assert server.recv(20_000, socket.MSG_WAITALL) == b"x" * 20_000
    assert settled(port, 0).queued_bytes == 0


def test_what_a_client_does_not_read_is_memory_of_the_servers_sockets_beyond_the_clients_window(
    pairs: tuple[int, list[socket.socket], list[socket.socket]],
) -> None:
    port, _, servers = pairs
    servers[0].setblocking(False)
    with suppress(BlockingIOError):
        while servers[0].send(bytes(1 << 16)):
            pass
    assert settled(port, 1 << 16).queued_bytes >= 1 << 16


def test_connections_that_nobody_has_accepted_or_that_are_closed_are_not_held() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            assert held("/proc", os.getpid(), port) == Held(0, 0, 0)
            accepted, _ = listener.accept()
            found = held("/proc", os.getpid(), port)
            assert found is not None
            assert found.connections == 1
            accepted.close()
            assert held("/proc", os.getpid(), port) == Held(0, 0, 0)


def test_the_kernel_answers_for_more_sockets_than_fit_into_one_message() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=400))
        address = listener.getsockname()
        for _ in range(400):
            stack.enter_context(socket.create_connection(address))
            stack.enter_context(listener.accept()[0])
        found = held("/proc", os.getpid(), address[1])
    assert found is not None
    assert found.connections == 400


def test_sockets_of_a_process_that_is_gone_are_not_known(target: Target) -> None:
    process = target("")
    process.kill()
    process.wait()
    assert held("/proc", process.pid, 80) is None


def test_sockets_of_another_network_namespace_are_not_known(tmp_path: Path) -> None:
    """Two folders that stand for two namespaces: another inode is another namespace."""
    for name in ("self", "4711"):
        (tmp_path / name / "ns").mkdir(parents=True)
        (tmp_path / name / "ns/net").touch()
    assert held(str(tmp_path), 4711, 80) is None


def test_a_look_counts_the_connections_of_the_port_that_it_was_told(probe: Probe, target: Target) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), other.accept()[0]:
            pid = target("").pid
            assert weighed(probe, pid=pid, port=port).connections == 1
            assert weighed(probe, pid=pid).connections is None


SLABS = """slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit>
TCPv6                 26     26   2496   13    8 : tunables    0    0    0 : slabdata      2      2      0
tw_sock_TCP          224    224    256   16    1 : tunables    0    0    0 : slabdata     14     14      0
TCP                   79    130   2368   13    8 : tunables    0    0    0 : slabdata     10     10      0
sock_inode_cache     228    228    832   19    4 : tunables    0    0    0 : slabdata     12     12      0
filp                 820    903    192   21    1 : tunables    0    0    0 : slabdata     43     43      0
dentry            207381 216699    192   21    1 : tunables    0    0    0 : slabdata  10319  10319      0
"""


@pytest.mark.parametrize(
    ("slabs", "expected"),
    [(SLABS, 2368 + 832 + 192 + 192), (SLABS.replace("sock_inode_cache", "merged"), None), ("", None), (None, None)],
    ids=["recorded", "one merged with another", "empty", "not to be read"],
)
def test_structures_of_a_socket_are_as_large_as_the_kernels_slabs_say(
    tmp_path: Path, slabs: str | None, expected: int | None
) -> None:
    if slabs is not None:
        (tmp_path / "slabinfo").write_text(slabs)
    assert structure_bytes(str(tmp_path / "slabinfo")) == expected
