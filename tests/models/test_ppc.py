"""What only a server that forks can do wrong."""

import os
import signal
from pathlib import Path

import psutil

from tests.models.support import GET, serving, wait_for


def test_what_a_child_counted_outlives_its_crash(folder: Path) -> None:
    with serving("ppc", folder) as server:
        client, other = server.client(), server.client()
        for _ in range(3):
            assert client.ask(GET).status == 200
        parent = psutil.Process(server.pid)
        wait_for(lambda: len(parent.children()) == 2)
        os.kill(min(child.pid for child in parent.children()), signal.SIGKILL)
        assert client.at_end()
        assert other.ask(GET).status == 200
        end = server.stop()
    assert (end.requests, end.connections) == (4, 2)


def test_the_parent_keeps_no_descriptor_of_a_connection(folder: Path) -> None:
    with serving("ppc", folder) as server:
        parent = psutil.Process(server.pid)
        wait_for(lambda: not parent.children())
        before = parent.num_fds()
        clients = [server.client() for _ in range(10)]
        assert {client.ask(GET).status for client in clients} == {200}
        assert parent.num_fds() == before
        assert {child.num_fds() for child in parent.children()} == {4}  # three standard streams and its connection


def test_a_slot_that_is_taken_again_keeps_what_it_held(folder: Path) -> None:
    with serving("ppc", folder) as server:
        for _ in range(20):
            client = server.client()
            assert client.ask(GET).status == 200
            client.close()
            wait_for(lambda: not psutil.Process(server.pid).children())
        end = server.stop()
    assert (end.requests, end.forks) == (20, 21)
