"""Each variant of the reactor breaks as its model says: a thread, a process, or everything; and it can still be ended."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.models.reactors import VARIANTS, connections_of
from tests.models.support import (
    GET,
    GET_AND_CLOSE,
    PATIENCE_S,
    serving,
    wait_for,
)

pytestmark = pytest.mark.slow

FAULT = b"GET /-/fault HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.mark.parametrize("variant", ["single", "threads", "pool", "uvloop"])
def test_a_crash_takes_every_connection_of_the_process(folder: Path, variant: str) -> None:
    with serving("reactor", folder, options=VARIANTS[variant], fault="crash") as server:
        clients = [server.client() for _ in range(6)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)
        assert all(client.at_end() for client in clients)
        assert server.process.wait(PATIENCE_S) == -signal.SIGSEGV


def test_a_crash_in_a_process_takes_its_loops_connections_and_the_loop_is_replaced(folder: Path) -> None:
    with serving("reactor", folder, options=VARIANTS["processes"], fault="crash") as server:
        clients = [server.client() for _ in range(6)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)
        assert all(client.at_end() for client in clients[0::2])
        assert {client.ask(GET).status for client in clients[1::2]} == {200}
        assert {server.client().ask(GET).status for _ in range(4)} == {200}
        end = server.stop()
    assert (end.requests, end.connections, end.forks) == (13, 10, 3)


def test_what_was_handed_to_a_process_that_dies_is_served_by_its_successor(folder: Path) -> None:
    with serving("reactor", folder, options={**VARIANTS["processes"], "loops": 1}) as server:
        (sub,) = psutil.Process(server.pid).children()
        sub.suspend()
        clients = [server.client() for _ in range(5)]
        for client in clients:
            client.send(GET)
        main = psutil.Process(server.pid)
        wait_for(
            lambda: not connections_of(main, server.port)
        )  # the main loop has handed them over, and closed its copies
        sub.kill()
        assert {client.response().status for client in clients} == {200}
        assert server.stop().requests == 5


@pytest.mark.parametrize("then", ["resume", "kill"])
def test_while_the_inbox_of_the_only_loop_is_full_clients_wait_and_then_all_are_served(folder: Path, then: str) -> None:
    """A successor is made while the main loop holds a connection, of which no copy may stay open in it."""
    with serving("reactor", folder, options={**VARIANTS["processes"], "loops": 1}) as server:
        main = psutil.Process(server.pid)
        (sub,) = main.children()
        sub.suspend()
        clients = [server.client() for _ in range(500)]
        wait_for(lambda: bool(connections_of(main, server.port)))  # one that the main loop holds: nobody takes it
        for client in clients:
            client.send(GET_AND_CLOSE)
        getattr(sub, then)()
        assert {client.response().status for client in clients} == {200}
        assert all(client.at_end() for client in clients)
        end = server.stop()
    assert (end.requests, end.connections) == (500, 500)


@pytest.mark.parametrize("fault", ["hang", "exit"])
def test_a_process_that_hangs_or_ends_costs_its_own_connections_only(folder: Path, fault: str) -> None:
    with serving("reactor", folder, options=VARIANTS["processes"], fault=fault) as server:
        clients = [server.client() for _ in range(4)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)
        assert {clients[1].ask(GET).status for _ in range(3)} == {200}
        assert server.stop().requests == 7


@pytest.mark.parametrize("variant", ["threads", "pool"])
def test_a_thread_that_hangs_leaves_the_others_at_work_and_does_not_keep_the_process(
    folder: Path, variant: str
) -> None:
    with serving("reactor", folder, options=VARIANTS[variant], fault="hang") as server:
        clients = [server.client() for _ in range(4)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)
        assert {client.ask(GET).status for client in clients[1::2] for _ in range(3)} == {200}
        assert server.stop().requests == 10


def test_a_deadlock_of_two_workers_stops_the_whole_pool_but_not_its_end(folder: Path) -> None:
    with serving("reactor", folder, options=VARIANTS["pool"], fault="deadlock") as server:
        clients = [server.client() for _ in range(4)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)

        def stuck() -> bool:
            probe = server.client()
            probe.socket.settimeout(0.5)
            try:
                return probe.ask(GET_AND_CLOSE).status != 200
            except TimeoutError:
                return True

        wait_for(stuck)
        server.stop()
