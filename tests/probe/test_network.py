"""What happens in a network namespace: recorded files of other kernels, and real listeners that are not asked to accept."""

import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from harness.raw import NetworkLook
from probe.network import Look, Network
from probe.sockets import Held, held
from tests.probe.conftest import DEADLINE_S, Probe

NETSTAT = (
    "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPReqQFullDoCookies TCPReqQFullDrop TCPRetransFail\n"
    "TcpExt: 0 5 7 3 2 0\n"
    "IpExt: InNoRoutes InOctets\nIpExt: 0 820039525317\n"
)
SNMP = (
    "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: RtoAlgorithm MaxConn RetransSegs InErrs OutRsts\nTcp: 1 -1 11 0 13\n"
    "TcpExtra: 1\n"
)
SOCKSTAT = "sockets: used 33\nTCP: inuse 1 orphan 2 tw 4 alloc 1 mem 387\nUDP: inuse 0 mem 0\n"
DEV = (
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
    "    lo: 900 1 0 0 0 0 0 0 900 1 0 0 0 0 0 0\n"
    "  eth0:1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n"
    "veth9: 30 1 0 0 0 0 0 0 40 1 0 0 0 0 0 0\n"
)
FILES = {"netstat": NETSTAT, "snmp": SNMP, "sockstat": SOCKSTAT, "dev": DEV}
COUNTERS = {
    "listen_overflows": 5,
    "listen_drops": 7,
    "syn_cookies": 3,
    "syn_drops": 2,
    "retransmits": 11,
    "resets_sent": 13,
    "time_wait": 4,
    "orphans": 2,
}


def host(root: Path, *, own: bool = True, without: str = "", files: dict[str, str] | None = None) -> Network:
    """A recorded host with one process, in the probe's own namespace or in another."""
    for pid in ("self", "4711"):
        (root / f"proc/{pid}/ns").mkdir(parents=True)
    (root / "proc/self/ns/net").touch()
    if own:
        os.link(root / "proc/self/ns/net", root / "proc/4711/ns/net")
    else:
        (root / "proc/4711/ns/net").touch()
    (root / "proc/4711/net").mkdir()
    for name, content in {**FILES, **(files or {})}.items():
        if name != without:
            (root / "proc/4711/net" / name).write_text(content)
    return Network(str(root / "proc"), 4711, 80 if own else None, str(root / "sys/class/net"))


def interface(root: Path, name: str, speed: str | None, *, hardware: bool) -> None:
    folder = root / "sys/class/net" / name
    folder.mkdir(parents=True)
    if hardware:
        (folder / "device").mkdir()
    if speed is not None:
        (folder / "speed").write_text(speed + "\n")


def test_counters_are_found_by_their_names_wherever_a_kernel_puts_them(tmp_path: Path) -> None:
    look = host(tmp_path).look({})
    assert look is not None
    assert {name: look[name] for name in COUNTERS} == COUNTERS
    NetworkLook.model_validate(look)


@pytest.mark.parametrize("name", FILES)
def test_a_kernel_that_does_not_tell_gives_no_look_instead_of_zeros(tmp_path: Path, name: str) -> None:
    assert host(tmp_path, without=name).look({}) is None


@pytest.mark.parametrize(
    "files",
    [
        {"netstat": NETSTAT.replace("ListenDrops", "Other")},
        {"netstat": ""},
        {"snmp": SNMP.replace("OutRsts", "Other")},
        {"sockstat": "sockets: used 3\n"},
        {"sockstat": "TCP: inuse 1 orphan 0\n"},
    ],
)
def test_a_kernel_that_tells_only_some_gives_no_look_either(tmp_path: Path, files: dict[str, str]) -> None:
    assert host(tmp_path, files=files).look({}) is None


def test_bytes_are_those_of_the_hardware_and_not_once_more_those_of_what_stands_on_it(tmp_path: Path) -> None:
    interface(tmp_path, "lo", None, hardware=False)
    interface(tmp_path, "eth0", "1000", hardware=True)
    interface(tmp_path, "eth1", "-1", hardware=True)
    interface(tmp_path, "veth9", "10000", hardware=False)
    look = host(tmp_path).look({})
    assert look is not None
    assert (look["bytes_received"], look["bytes_sent"], look["link_bytes_per_s"]) == (1000, 2000, 125_000_000)


@pytest.mark.parametrize("own", [True, False])
def test_without_hardware_they_are_those_of_all_but_loopback_and_no_speed_is_known(tmp_path: Path, own: bool) -> None:
    """So it is in a container, and in another namespace: the interfaces of that one have no folder here."""
    interface(tmp_path, "veth9", "10000", hardware=not own)
    look = host(tmp_path, own=own).look({})
    assert look is not None
    assert (look["bytes_received"], look["bytes_sent"], look["link_bytes_per_s"]) == (1030, 2040, None)


def test_a_namespace_is_read_once_for_all_who_share_it(tmp_path: Path) -> None:
    network = host(tmp_path)
    seen: dict[object, Look] = {}
    first = network.look(seen)
    (tmp_path / "proc/4711/net/netstat").write_text("")
    assert network.look(seen) == first
    assert network.look({}) is None


def test_without_a_listener_the_queue_is_not_known(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    look = Network("/proc", os.getpid(), port).look({})
    assert look is not None
    assert (look["accept_queue"], look["accept_queue_limit"]) == (None, None)


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family, backlog=3) as one:
        yield one


def test_who_waits_for_accept_is_counted_and_how_many_may(listener: socket.socket) -> None:
    network = Network("/proc", os.getpid(), listener.getsockname()[1])
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
        waiting = network.look({})
        stack.enter_context(listener.accept()[0])
        taken = network.look({})
    assert waiting is not None
    assert taken is not None
    assert (waiting["accept_queue"], waiting["accept_queue_limit"]) == (2, 3)
    assert taken["accept_queue"] == 1


def test_the_limit_is_the_kernels_where_more_was_asked_for() -> None:
    most = int(Path("/proc/sys/net/core/somaxconn").read_text())
    with socket.create_server(("127.0.0.1", 0), backlog=most + 1) as one:
        look = Network("/proc", os.getpid(), one.getsockname()[1]).look({})
    assert look is not None
    assert look["accept_queue_limit"] == most


def test_several_listeners_of_a_port_add_up() -> None:
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0), reuse_port=True, backlog=3))
        address = first.getsockname()
        stack.enter_context(socket.create_server(address, reuse_port=True, backlog=4))
        for _ in range(2):
            stack.enter_context(socket.create_connection(address))
        look = Network("/proc", os.getpid(), address[1]).look({})
    assert look is not None
    assert (look["accept_queue"], look["accept_queue_limit"]) == (2, 7)


def overflow(address: tuple[str, int], stack: ExitStack) -> None:
    """Fill the queue of a listener that may hold one, and go on until the kernel counts one that found it full."""
    network = Network("/proc", os.getpid(), address[1])
    before = network.look({})
    deadline = time.monotonic() + DEADLINE_S
    while True:
        one = stack.enter_context(closing(socket.socket()))
        one.setblocking(False)
        one.connect_ex(address)
        select.select([], [one], [], 0.05)
        now = network.look({})
        assert before is not None
        assert now is not None
        if (now["listen_overflows"] or 0) > (before["listen_overflows"] or 0) and now["accept_queue"] == 2:
            return
        assert time.monotonic() < deadline, now


def test_connections_that_find_the_queue_full_are_overflows(probe: Probe) -> None:
    """A real queue: room for one (the kernel lets in one more), a dozen that want in, and nobody who accepts."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as one, ExitStack() as stack:
        address = one.getsockname()
        running = probe(interval_s=30.0, server={"pid": os.getpid(), "cgroup": False, "port": address[1]})
        running.edge()
        overflow(address, stack)
        running.edge()
        report = running.report()
    first, *_, last = (NetworkLook.model_validate(look) for look in report["network"]["server"])
    assert last.listen_overflows > first.listen_overflows
    assert last.listen_drops >= first.listen_drops + (last.listen_overflows - first.listen_overflows)
    assert (first.accept_queue, last.accept_queue, last.accept_queue_limit) == (0, 2, 1)


def test_the_client_shares_the_probes_own_namespace_and_has_no_queue(probe: Probe) -> None:
    running = probe(own_network="client")
    running.edge()
    (look, *_) = (NetworkLook.model_validate(look) for look in running.report()["network"]["client"])
    assert (look.accept_queue, look.accept_queue_limit) == (None, None)
    assert look.time_wait >= 0


def test_a_service_without_a_port_has_no_looks_at_its_network(probe: Probe) -> None:
    running = probe(server={"pid": os.getpid(), "cgroup": False})
    running.edge()
    assert running.report()["network"] == {}


def test_a_socket_in_time_wait_is_counted(probe: Probe) -> None:
    """Whoever closes first keeps the pair of ports for a minute: here the side that connected, as a client would."""
    running = probe(interval_s=30.0, own_network="client")
    running.edge()
    with socket.create_server(("127.0.0.1", 0), backlog=100) as one:
        for _ in range(50):
            with socket.create_connection(one.getsockname()) as client:
                taken, _ = one.accept()
            with taken:
                assert taken.recv(1) == b""
            assert client.fileno() == -1
    running.edge()
    report = running.report()["network"]["client"]
    assert report[-1]["time_wait"] > 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a network namespace, and enter it")
def test_the_queue_of_a_port_in_another_namespace(tmp_path: Path) -> None:
    """As on a bridge: the same port here is another one, and its queue another queue."""
    script = (
        "import socket, sys; one = socket.create_server(('0.0.0.0', 54321), backlog=9); print('up', flush=True);"
        "sys.stdin.read()"
    )
    argv = ["unshare", "--net", sys.executable, "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        look = Network("/proc", process.pid, 54321).look({})
        kept = held("/proc", process.pid, 54321)
        here = Network("/proc", os.getpid(), 54321).look({})
        process.kill()
    assert look is not None
    assert here is not None
    assert (look["accept_queue"], look["accept_queue_limit"], look["listen_overflows"]) == (0, 9, 0)
    assert kept == Held(0, 0, 0)
    assert here["accept_queue_limit"] is None


@pytest.mark.slow
def test_a_look_is_cheap_however_many_connections_there_are() -> None:
    """By CPU time and by the median, so that a busy host does not count: /proc/net/tcp of 1,500 takes ten milliseconds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
        network = Network("/proc", os.getpid(), listener.getsockname()[1])
        few = cost_s(network)
        for _ in range(1_500):
            stack.enter_context(socket.create_connection(listener.getsockname()))
            stack.enter_context(listener.accept()[0])
        many = cost_s(network)
    assert many < 5 * few


def cost_s(network: Network) -> float:
    """Median CPU time of a look."""
    costs = []
    for _ in range(101):
        before = time.process_time()
        assert network.look({}) is not None
        costs.append(time.process_time() - before)
    return statistics.median(costs)
