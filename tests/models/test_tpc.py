"""What only a server with a thread per connection can do wrong."""

from pathlib import Path

import psutil
import pytest

from tests.models.support import GET, serving, wait_for

MIB = 1 << 20


def test_each_connection_has_a_thread_and_one_descriptor_and_one_close_is_enough(folder: Path) -> None:
    with serving("tpc", folder) as server:
        process = psutil.Process(server.pid)
        wait_for(lambda: process.num_threads() == 1)
        before = process.num_fds()
        clients = [server.client() for _ in range(10)]
        assert {client.ask(GET).status for client in clients} == {200}
        assert (process.num_threads(), process.num_fds()) == (11, before + 10)
        for client in clients:
            client.close()
        wait_for(lambda: (process.num_threads(), process.num_fds()) == (1, before))
        end = server.stop()
    assert (end.threads, end.forks) == (11, 0)


def test_a_slot_that_is_taken_again_keeps_what_it_held(folder: Path) -> None:
    with serving("tpc", folder) as server:
        for _ in range(20):
            client = server.client()
            assert client.ask(GET).status == 200
            client.close()
            wait_for(lambda: psutil.Process(server.pid).num_threads() == 1)
        end = server.stop()
    assert (end.requests, end.threads) == (20, 21)


@pytest.mark.parametrize("pages", ["4k", "thp"])
def test_the_ballast_is_resident_before_the_first_connection(folder: Path, pages: str) -> None:
    with serving("tpc", folder, options={"ballast": "64 MiB", "ballast_pages": pages}) as server:
        assert psutil.Process(server.pid).memory_info().rss >= 64 * MIB
        server.stop()
