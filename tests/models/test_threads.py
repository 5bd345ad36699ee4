"""What every server with threads does alike: counts, calls to the backend, and how far a fault goes."""

import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.models.support import GET, PATIENCE_S, Client, Server, serving, wait_for
from tests.models.threads import (
    FAULT,
    Case,
    are_silent,
    at_once,
    each_case,
    each_in_one_process,
    each_in_three_processes,
    each_with_several_threads,
    owners,
    slow_backend,
)

CLIENTS, REQUESTS = 6, 200


def ask_often(server: Server) -> None:
    client = server.client()
    for _ in range(REQUESTS):
        assert client.ask(GET).status == 200


@pytest.mark.slow
@pytest.mark.parametrize("stats", ["lock", "per-thread", "off"])
@each_case
def test_requests_are_counted_exactly_under_concurrent_load_or_not_at_all(case: Case, stats: str, folder: Path) -> None:
    with serving(case.model, folder, options={**case.options, "stats": stats}) as server:
        at_once([lambda: ask_often(server)] * CLIENTS)
        server.process.send_signal(signal.SIGUSR1)
        end = server.stop()
    assert end.requests == (None if stats == "off" else CLIENTS * REQUESTS)
    assert [mark.requests for mark in end.marks] == [None if stats == "off" else CLIENTS * REQUESTS + 1]
    assert end.connections == CLIENTS


@pytest.mark.slow
@pytest.mark.parametrize("stats", ["lock", "per-thread"])
@each_case
def test_a_mark_taken_under_load_neither_blocks_nor_miscounts(case: Case, stats: str, folder: Path) -> None:
    with serving(case.model, folder, options={**case.options, "stats": stats}) as server:
        done = threading.Event()

        def mark_again_and_again() -> None:
            while not done.wait(0.005):
                server.process.send_signal(signal.SIGUSR1)

        marking = threading.Thread(target=mark_again_and_again)
        marking.start()
        try:
            at_once([lambda: ask_often(server)] * CLIENTS)
        finally:
            done.set()
            marking.join(PATIENCE_S)
        end = server.stop()
    counts = [mark.requests for mark in end.marks if mark.requests is not None]
    assert len(counts) == len(end.marks) > 0
    assert counts == sorted(counts)
    assert end.requests == CLIENTS * REQUESTS


@each_case
def test_all_workers_call_the_backend_at_once_each_over_a_kept_connection(case: Case, folder: Path) -> None:
    with slow_backend() as backend:
        address = {"host": "127.0.0.1", "port": backend.port, "timeout_s": PATIENCE_S}
        with serving(case.model, folder, options=case.options, backend=address) as server:
            before = backend.connections
            clients = [server.client() for _ in range(CLIENTS)]
            backend.answer_only(CLIENTS)
            for _ in range(3):
                assert {answer.status for answer in at_once([partial(client.ask, GET) for client in clients])} == {200}
            assert before + CLIENTS - 1 <= backend.connections <= before + CLIENTS  # the first worker had one already
            end = server.stop()
    assert (end.requests, end.backend_calls, end.backend_errors) == (3 * CLIENTS, 3 * CLIENTS + 1, 0)


def test_a_backend_that_is_gone_is_a_502_in_every_thread(folder: Path) -> None:
    with slow_backend() as backend:
        address = {"host": "127.0.0.1", "port": backend.port, "timeout_s": PATIENCE_S}
        with serving("prethread", folder, options={"threads": CLIENTS}, backend=address) as server:
            backend.stop()
            clients = [server.client() for _ in range(CLIENTS)]
            assert {answer.status for answer in at_once([partial(client.ask, GET) for client in clients])} == {502}
            end = server.stop()
    assert (end.requests, end.bad_requests, end.backend_errors) == (0, CLIENTS, CLIENTS)


@pytest.mark.parametrize(("fault", "status"), [("crash", -signal.SIGSEGV), ("exit", 1)])
@each_in_one_process
def test_a_handler_that_ends_its_process_takes_every_connection(
    case: Case, fault: str, status: int, folder: Path
) -> None:
    with serving(case.model, folder, options=case.options, fault=fault) as server:
        guilty, *innocent = [server.client() for _ in range(4)]
        assert {client.ask(GET).status for client in innocent} == {200}
        guilty.send(FAULT)
        assert all(client.at_end() for client in (guilty, *innocent))
        assert server.process.wait(PATIENCE_S) == status


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["crash", "exit"])
@each_in_three_processes
def test_a_handler_that_ends_its_process_takes_that_processs_connections_only(
    case: Case, fault: str, folder: Path
) -> None:
    with serving(case.model, folder, options=case.options, fault=fault) as server:
        clients = [server.client() for _ in range(6)]
        assert {client.ask(GET).status for client in clients} == {200}
        pids = owners(server, clients)
        assert sorted(map(pids.count, set(pids))) == [2, 2, 2]
        clients[0].send(FAULT)
        lost = [client for client, pid in zip(clients, pids, strict=True) if pid == pids[0]]
        assert all(client.at_end() for client in lost)
        assert {client.ask(GET).status for client in clients if client not in lost} == {200}
        assert {server.client().ask(GET).status for _ in lost} == {200}  # of the new process
        end = server.stop()
    assert (end.requests, end.connections, end.forks) == (6 + 4 + 2, 6 + 2, 3 + 1)


@pytest.mark.slow
@each_with_several_threads
def test_threads_in_a_deadlock_stop_their_process_and_keep_nobody_from_the_end(case: Case, folder: Path) -> None:
    with serving(case.model, folder, options=case.options, fault="deadlock") as server:
        clients = [server.client() for _ in range(6)]
        assert {client.ask(GET).status for client in clients} == {200}
        pids = owners(server, clients)
        guilty, rival, *near = [client for client, pid in zip(clients, pids, strict=True) if pid == pids[0]]
        _deadlock(guilty, rival)
        for client in near:
            client.send(GET)
        assert are_silent(guilty, rival, *near)
        far = [client for client in clients if client not in (guilty, rival, *near)]
        assert all(client.ask(GET).status == 200 for client in far)
        assert server.stop().connections == 6


@pytest.mark.slow
@each_with_several_threads
def test_a_thread_that_hangs_takes_nobody_with_it_and_keeps_nobody_from_the_end(case: Case, folder: Path) -> None:
    with serving(case.model, folder, options=case.options, fault="hang") as server:
        guilty, *others = [server.client() for _ in range(4)]
        guilty.send(FAULT)
        for _ in range(3):
            assert {client.ask(GET).status for client in others} == {200}
        assert are_silent(guilty)
        assert server.stop().requests == 9


def _deadlock(guilty: Client, rival: Client) -> None:
    """Of two connections of a process, one sets the fault off while the other asks, until both are stuck.

    It may take more than one try: where the rival comes too late, the fault goes on without it.
    """
    requests = {rival: GET, guilty: FAULT}

    def are_stuck() -> bool:
        for client, request in requests.items():
            if not are_silent(client):
                assert client.response().status == 200
                client.send(request)
                return False
        return True

    guilty.send(FAULT)
    rival.send(GET)
    wait_for(are_stuck)
