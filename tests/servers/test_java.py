"""The server in Java: what its launcher tells the JVM, what it counts, and how many threads each way of I/O takes."""

import time
from pathlib import Path
from signal import SIGUSR1

import pytest

from common.config import BackendAddress, ConfigError, HandlerConfig
from harness.conformance.bench import Server, wait_until
from harness.conformance.footprint import footprint
from harness.conformance.messages import GET, GET_AND_CLOSE, require_right
from harness.deploy import stop_and_report
from harness.spec.experiment import Scalar
from java.server import command
from tests.servers.conftest import HANDLER, Serve, told

OUT = Path("/ceiling/out")
HELD = 60
OF_OTHERS = 20  # threads that the JVM may make for itself meanwhile, such as its compilers'
PATIENCE_S = 30.0
SETTLED_S = 1.0


def words(model: str = "java", host: str = "127.0.0.1", **options: Scalar) -> list[str]:
    return command(told(model, options, host=host), OUT)


def test_what_is_told_becomes_properties() -> None:
    said = words(io="netty", loops=3)
    assert {"-Dceiling.io=netty", "-Dceiling.loops=3", "-Dceiling.port=8080", "-Dceiling.body_bytes=128"} <= set(said)
    assert said[-1] == "ceiling.Main"


def test_the_pool_is_the_same_program_with_another_io() -> None:
    assert {"-Dceiling.io=bio-pool", "-Dceiling.threads=7"} <= set(words("java-pool", threads=7))


def test_a_heap_of_a_size_has_it_from_the_start_and_without_one_the_jvm_decides() -> None:
    assert {"-Xms67108864", "-Xmx67108864"} <= set(words(heap=64 << 20))
    assert [word for word in words(heap=0) if word.startswith(("-Xms", "-Xmx"))] == []


@pytest.mark.parametrize(("host", "only_ip_4"), [("127.0.0.1", True), ("::1", False)])
def test_an_address_of_ip_4_is_listened_on_as_such(host: str, only_ip_4: bool) -> None:
    assert ("-Djava.net.preferIPv4Stack=true" in words(host=host)) is only_ip_4


@pytest.mark.parametrize(
    "handler",
    [
        HANDLER._replace(cpu_iterations=1),
        HANDLER._replace(log="flush"),
        HANDLER._replace(backend=BackendAddress("127.0.0.1", 1, 1.0)),
        HANDLER._replace(fault="crash"),
    ],
)
def test_what_it_does_not_do_is_refused(handler: HandlerConfig) -> None:
    with pytest.raises(ConfigError, match="handler asks for what this server does not do"):
        command(told("java", {}, handler=handler), OUT)


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "options", "program"),
    [
        ("java", {"io": "bio"}, "java.net"),
        ("java", {"io": "nio"}, "java.nio"),
        ("java", {"io": "netty"}, "Netty 4.1."),
        ("java-pool", {"threads": HELD}, "java.net"),
    ],
    ids=["bio", "nio", "netty", "pool"],
)
def test_it_counts_every_request_and_connection(
    serve: Serve, model: str, options: dict[str, Scalar], program: str
) -> None:
    with serve(model, **options) as server:
        hold(server)
        server.service.signal(SIGUSR1)
        time.sleep(SETTLED_S)
        server.close_all()
        for _ in range(4):
            require_right(server.ask_once(GET_AND_CLOSE), None, GET_AND_CLOSE)
        report = stop_and_report(server.service, exact=True, stop=server.stop_signal)
    assert report is not None
    proved = server.proving_requests
    assert [(mark.requests, mark.connections) for mark in report.marks] == [(proved + HELD, proved + HELD)]
    assert (report.requests, report.connections, report.accepts) == (proved + HELD + 4,) * 3
    assert (report.program or "").startswith("OpenJDK ")
    assert program in (report.program or "")


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.parametrize(("io", "each"), [("bio", True), ("nio", False), ("netty", False)])
def test_a_held_connection_takes_a_thread_only_where_io_blocks(serve: Serve, io: str, each: bool) -> None:
    with serve("java", io=io) as server:
        require_right(server.ask_once(GET), None, GET)
        before = threads(server)
        hold(server)
        if each:
            assert threads(server) >= before + HELD - OF_OTHERS
            server.close_all()
            assert wait_until(lambda: threads(server) < before + OF_OTHERS, PATIENCE_S)
        else:
            assert threads(server) < before + OF_OTHERS


@pytest.mark.docker
@pytest.mark.slow
def test_the_pool_is_there_before_the_first_connection(serve: Serve) -> None:
    with serve("java-pool", threads=HELD) as server:
        before = threads(server)
        hold(server)
        assert before >= HELD
        assert threads(server) < before + OF_OTHERS


def hold(server: Server) -> None:
    """Connections that stay, each with one request answered."""
    for _ in range(HELD):
        require_right(server.connect().ask(GET), None, GET)


def threads(server: Server) -> int:
    look = footprint(server.service.main_pid)
    assert look is not None
    assert look.threads is not None
    return look.threads
