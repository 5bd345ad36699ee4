"""What only a server with processes made ahead can do wrong."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.models.support import GET, GET_AND_CLOSE, PATIENCE_S, Server, serving, start, wait_for, write_config
from tests.models.threads import FAULT, are_silent, owners, slow_backend

pytestmark = pytest.mark.slow

ACCEPTS = ("blocking", "epoll", "epoll-exclusive", "reuseport")
each_accept = pytest.mark.parametrize("accept", ACCEPTS)
# Where the kernel chooses the worker by a hash, two connections may meet at one worker while another is idle.
each_shared_accept = pytest.mark.parametrize("accept", ACCEPTS[:3])


def options(accept: str, number: int) -> dict[str, Any]:
    return {"accept": accept, "workers": number}


def workers(server: Server) -> set[int]:
    return {child.pid for child in psutil.Process(server.pid).children()}


@contextmanager
def prefork(folder: Path, accept: str, number: int, **handler: Any) -> Iterator[Server]:
    """Once all workers are made: the first ones serve before."""
    with serving("prefork", folder, options=options(accept, number), **handler) as server:
        wait_for(lambda: len(workers(server)) == number)
        yield server


def one_after_another(server: Server, number: int, after_each: Callable[[], object] = lambda: None) -> None:
    for _ in range(number):
        client = server.client()
        assert client.ask(GET_AND_CLOSE).status == 200
        assert client.at_end()
        client.close()
        after_each()


@each_accept
def test_every_connection_is_served_by_one_worker_and_counted_there(folder: Path, accept: str) -> None:
    with prefork(folder, accept, 4) as server:
        threads = [threading.Thread(target=one_after_another, args=(server, 10)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        end = server.stop()
    assert (end.requests, end.connections, end.accepts, end.forks) == (40, 40, 40, 4)
    assert end.connections_by_worker is not None
    assert len(end.connections_by_worker) == 4
    assert sum(end.connections_by_worker) == 41  # the one that asked whether the server is ready, too
    assert end.wakeups is not None
    assert end.wakeups >= 41


@each_shared_accept
def test_as_many_connections_as_workers_are_served_at_once_and_the_next_one_waits(folder: Path, accept: str) -> None:
    with prefork(folder, accept, 3) as server:
        clients = [server.client() for _ in range(3)]
        assert {client.ask(GET).status for client in clients} == {200}
        assert len(set(owners(server, clients))) == 3
        waiting = server.client()
        waiting.send(GET)
        assert are_silent(waiting)
        clients[1].close()
        assert waiting.response().status == 200
        end = server.stop()
    assert end.connections_by_worker is not None
    assert sorted(end.connections_by_worker)[0] >= 1
    assert end.connections == 4


@each_accept
def test_a_killed_worker_is_replaced_and_what_it_counted_and_what_waits_for_it_stays(folder: Path, accept: str) -> None:
    with prefork(folder, accept, 2) as server:
        unlucky = server.client()
        assert [unlucky.ask(GET).status for _ in range(3)] == [200] * 3
        waiting = [server.client() for _ in range(8)]  # of `reuseport`, half of them wait for the worker that is busy
        for client in waiting:
            client.send(GET_AND_CLOSE)
        [killed] = owners(server, [unlucky])
        os.kill(killed, signal.SIGKILL)
        assert unlucky.at_end()
        assert {client.response().status for client in waiting} == {200}
        wait_for(lambda: len(workers(server) - {killed}) == 2)
        end = server.stop()
    assert (end.requests, end.connections, end.forks) == (3 + 8, 1 + 8, 2 + 1)
    assert end.connections_by_worker is not None
    assert (len(end.connections_by_worker), sum(end.connections_by_worker)) == (2, 1 + 1 + 8)


@each_shared_accept
@pytest.mark.parametrize("fault", ["crash", "exit"])
def test_a_handler_that_takes_its_process_down_takes_one_connection_with_it(
    folder: Path, accept: str, fault: str
) -> None:
    with prefork(folder, accept, 4, fault=fault) as server:
        clients = [server.client() for _ in range(4)]
        assert {client.ask(GET).status for client in clients} == {200}
        clients[0].send(FAULT)
        assert clients[0].at_end()
        assert {client.ask(GET).status for client in clients[1:]} == {200}
        assert server.client().ask(GET).status == 200  # by the replacement: the others are busy
        end = server.stop()
    assert (end.requests, end.connections, end.forks) == (4 + 3 + 1, 5, 5)


def switches_of_workers(server: Server) -> int:
    workers = psutil.Process(server.pid).children()
    return sum(worker.num_ctx_switches().voluntary for worker in workers)


def test_the_herd_wakes_with_epoll_and_one_worker_with_the_others(tmp_path: Path) -> None:
    """Of 32 idle workers, 20 connections one after another, each once all are asleep again."""
    switches, eagains = {}, {}
    for accept in ACCEPTS[:3]:
        with prefork(tmp_path / accept, accept, 32) as server:
            wait_for(lambda server=server: _all_asleep(server))  # type: ignore[misc]  # mypy has no type for a lambda's default
            before = switches_of_workers(server)
            one_after_another(server, 20, lambda server=server: wait_for(lambda: _all_asleep(server)))  # type: ignore[misc]
            switches[accept] = switches_of_workers(server) - before
            eagains[accept] = server.stop().accept_eagains or 0
    assert switches["epoll"] > 5 * switches["epoll-exclusive"]
    assert switches["epoll"] > 5 * switches["blocking"]
    assert eagains["blocking"] == 0


def _all_asleep(server: Server) -> bool:
    workers = psutil.Process(server.pid).children()
    return len(workers) == 32 and all(worker.status() == psutil.STATUS_SLEEPING for worker in workers)


@each_accept
def test_a_stop_wakes_workers_wherever_they_sleep(folder: Path, accept: str) -> None:
    with prefork(folder, accept, 8) as server:
        idle, half_sent, untouched = server.client(), server.client(), server.client()
        assert idle.ask(GET).status == 200
        half_sent.send(GET[:-4])
        end = server.stop()
        assert all(client.at_end() for client in (idle, half_sent, untouched))
    assert (end.requests, end.bad_requests, end.forks) == (1, 0, 8)


@each_accept
def test_a_stop_between_a_workers_last_look_and_its_accept_still_ends_it(folder: Path, accept: str) -> None:
    """A frozen worker sees the signal and the shut down socket in no particular order when it goes on."""
    with prefork(folder, accept, 4) as server:
        frozen = psutil.Process(server.pid).children()[:2]
        for worker in frozen:
            worker.suspend()
        thaw = threading.Timer(0.5, _resume, [frozen])
        thaw.start()
        end = server.stop()
        thaw.join()
    assert (end.requests, end.forks) == (0, 4)


@pytest.mark.parametrize("model", ["ppc", "prefork"])
def test_a_stop_does_not_wait_for_a_handler_that_hangs(folder: Path, model: str) -> None:
    with serving(model, folder, fault="hang") as server:
        well, hanging = server.client(), server.client()
        assert [client.ask(GET).status for client in (well, hanging)] == [200, 200]
        hanging.send(FAULT)
        end = server.stop()
    assert end.requests == 2


@pytest.mark.parametrize("model", ["ppc", "prefork"])
def test_a_stop_does_not_wait_for_a_backend_that_does_not_answer(folder: Path, model: str) -> None:
    with slow_backend() as backend:
        address = {"host": "127.0.0.1", "port": backend.port, "timeout_s": 60.0}
        with serving(model, folder, backend=address) as server:
            client = server.client()
            assert client.ask(GET).status == 200
            backend.answer_only(2)
            client.send(GET)
            end = server.stop()
        with socket.create_connection(("127.0.0.1", backend.port)) as second:
            second.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert second.recv(1)
    assert (end.requests, end.backend_calls) == (1, 1 + 2)


@pytest.mark.parametrize("model", ["ppc", "prefork"])
def test_each_process_calls_the_backend_over_a_connection_that_it_keeps(folder: Path, model: str) -> None:
    with slow_backend() as backend:
        address = {"host": "127.0.0.1", "port": backend.port, "timeout_s": PATIENCE_S}
        chosen = options("blocking", 2) if model == "prefork" else {}
        with serving(model, folder, options=chosen, backend=address) as server:
            clients = [server.client() for _ in range(2)]
            for _ in range(5):
                assert {client.ask(GET).status for client in clients} == {200}
            connections = backend.connections
            backend.stop()
            assert [client.ask(GET).status for client in clients] == [502, 502]
            assert clients[0].at_end()
            end = server.stop()
    assert connections == (3 if model == "ppc" else 2)  # the first one was asked for when the server became ready
    assert (end.requests, end.bad_requests) == (10, 2)
    assert (end.backend_calls, end.backend_errors) == (1 + 10 + 2, 2)


@each_accept
def test_a_port_that_is_taken_is_one_line_even_if_its_owner_shares_it(folder: Path, accept: str) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert _refusal(folder, accept, 2, port=port) == (
            f"prefork: cannot listen on 127.0.0.1 port {port}: Address already in use; "
            "stop what uses the port or choose another\n"
        )


def test_too_few_descriptors_for_the_listening_sockets_are_one_line(folder: Path) -> None:
    assert "Too many open files" in _refusal(folder, "reuseport", 64, limits=["--nofile=32"])


def _refusal(folder: Path, accept: str, number: int, limits: list[str] | None = None, **changes: Any) -> str:
    given = {**options(accept, number), "ballast": 0, "ballast_pages": "4k"}
    write_config(folder, "prefork", options=given, **changes)
    out, err = start("prefork", folder, limits or ()).communicate(timeout=PATIENCE_S)
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_workers_have_their_listening_socket_only(folder: Path) -> None:
    with prefork(folder, "reuseport", 8) as server:
        main = psutil.Process(server.pid)
        counts = {len(process.net_connections("tcp")) for process in main.children()}
        assert (len(main.net_connections("tcp")), counts) == (8, {1})


def _resume(processes: list[psutil.Process]) -> None:
    for process in processes:
        process.resume()
