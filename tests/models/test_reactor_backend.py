"""A reactor calls its backend without keeping anybody waiting, and leaves no call without an end."""

import socket
import struct
from pathlib import Path

import psutil
import pytest

from tests.models.backends import called_server
from tests.models.reactors import VARIANTS, connections_of, variants
from tests.models.support import (
    GET,
    GET_AND_CLOSE,
    serving,
    wait_for,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "pool"])
def test_one_loop_has_a_hundred_calls_to_the_backend_under_way_at_once(folder: Path, variant: str) -> None:
    """The backend answers none of them before it has seen all, so a loop that waited for one would wait for ever."""
    with (
        called_server() as backend,
        serving("reactor", folder, options={**VARIANTS[variant], "loops": 1}, backend=backend.address()) as server,
    ):
        backend.together = 100
        clients = [server.client() for _ in range(100)]
        for client in clients:
            client.send(GET)
        assert {client.response().status for client in clients} == {200}
        end = server.stop()
    assert (backend.most_at_once, end.backend_calls, end.backend_errors) == (100, 101, 0)


def test_each_worker_of_a_pool_has_a_call_to_the_backend_under_way(folder: Path) -> None:
    with (
        called_server() as backend,
        serving("reactor", folder, options={"variant": "pool", "threads": 5}, backend=backend.address()) as server,
    ):
        backend.together = 5
        clients = [server.client() for _ in range(20)]
        for client in clients:
            client.send(GET)
        assert {client.response().status for client in clients} == {200}
        end = server.stop()
    assert (backend.most_at_once, end.backend_calls, end.backend_errors) == (5, 21, 0)


@variants
def test_calls_of_a_pipeline_are_made_one_after_another_on_a_kept_connection(folder: Path, variant: str) -> None:
    options = {**VARIANTS[variant], "loops": 1, "threads": 1}
    with called_server() as backend, serving("reactor", folder, options=options, backend=backend.address()) as server:
        client = server.client()
        client.send(GET * 10)
        assert {client.response().status for _ in range(10)} == {200}
        assert client.ask(GET).status == 200
        end = server.stop()
    assert (backend.calls, backend.connections, backend.most_at_once) == (12, 1, 1)
    assert (end.requests, end.backend_calls) == (11, 12)


@variants
def test_a_backend_that_closes_kept_connections_costs_no_call(folder: Path, variant: str) -> None:
    options = VARIANTS[variant]
    with called_server() as backend, serving("reactor", folder, options=options, backend=backend.address()) as server:
        backend.hangs_up = True
        client = server.client()
        assert {client.ask(GET).status for _ in range(50)} == {200}
        end = server.stop()
    assert (end.backend_calls, end.backend_errors) == (51, 0)


@variants
def test_a_call_that_fails_is_a_502_and_counted(folder: Path, variant: str) -> None:
    options = VARIANTS[variant]
    with called_server() as backend, serving("reactor", folder, options=options, backend=backend.address()) as server:
        backend.answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
        assert server.client().ask(GET).status == 502
        backend.stop()
        assert server.client().ask(GET).status == 502
        end = server.stop()
    assert (end.requests, end.bad_requests, end.backend_calls, end.backend_errors) == (0, 2, 3, 2)


@variants
def test_a_backend_that_says_nothing_is_given_up_on_in_time_while_others_are_served(folder: Path, variant: str) -> None:
    options = VARIANTS[variant]
    with (
        called_server() as backend,
        serving("reactor", folder, options=options, backend=backend.address(1.0)) as server,
    ):
        backend.together = 6
        silent = [server.client() for _ in range(5)]
        for client in silent:
            client.send(GET)
        wait_for(lambda: backend.at_once == 5)
        assert {client.response().status for client in silent} == {502}
        backend.together = 1
        assert server.client().ask(GET).status == 200
        end = server.stop()
    assert (end.requests, end.backend_errors) == (1, 5)


@variants
def test_a_client_that_leaves_while_the_backend_is_asked_leaves_nothing_behind(folder: Path, variant: str) -> None:
    options = VARIANTS[variant]
    with called_server() as backend, serving("reactor", folder, options=options, backend=backend.address()) as server:
        assert server.client().ask(GET_AND_CLOSE).status == 200
        family = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
        backend.together = 7  # more than there are, until we say so
        leaving = [server.client() for _ in range(6)]
        for client in leaving:
            client.send(GET)
        wait_for(lambda: backend.at_once == 6)
        for client in leaving[:3]:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
        for client in leaving:
            client.close()
        assert server.client().ask(GET_AND_CLOSE).status == 200  # the seventh: now all are answered
        wait_for(lambda: not any(connections_of(process, server.port) for process in family))
        end = server.stop()
    assert (end.backend_calls, end.backend_errors) == (9, 0)


@variants
def test_a_stop_does_not_wait_for_a_backend_that_says_nothing(folder: Path, variant: str) -> None:
    options = VARIANTS[variant]
    with called_server() as backend, serving("reactor", folder, options=options, backend=backend.address()) as server:
        backend.together = 4
        clients = [server.client() for _ in range(3)]
        for client in clients:
            client.send(GET)
        wait_for(lambda: backend.at_once == 3)
        end = server.stop()
        assert all(client.at_end() for client in clients)
    assert (end.requests, end.backend_calls) == (0, 4)
