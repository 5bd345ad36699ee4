"""What only a server with threads made in advance can do wrong."""

import os
import select
import signal
import subprocess
import threading
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.models.support import (
    GET,
    GET_AND_CLOSE,
    PATIENCE_S,
    Server,
    all_options,
    counted,
    serving,
    start,
    wait_for,
    write_config,
)
from tests.models.threads import (
    VARIANTS,
    Case,
    are_silent,
    at_once,
    each_in_three_processes,
    each_prethread,
    owners,
    slow_backend,
)

each_variant = pytest.mark.parametrize("variant", VARIANTS)


def workers(case: Case) -> int:
    return int(case.options["processes"]) * int(case.options["threads"])


@pytest.mark.slow
@each_prethread
def test_as_many_connections_as_threads_are_served_and_the_others_wait_for_one_to_be_free(
    case: Case, folder: Path
) -> None:
    with serving(case.model, folder, options=case.options) as server:
        served = [server.client() for _ in range(workers(case))]
        assert {client.ask(GET).status for client in served} == {200}
        waiting = [server.client() for _ in range(3)]
        for client in waiting:
            client.send(GET)
        assert are_silent(*waiting)
        assert _in_listen_queue(server) == len(waiting)  # in the kernel's queue, where one can see that they wait
        for _ in range(len(waiting)):
            assert served.pop(0).ask(GET_AND_CLOSE).status == 200
            ready, _, _ = select.select([client.socket for client in waiting], [], [], PATIENCE_S)
            [lucky] = [client for client in waiting if client.socket in ready]
            assert lucky.response().status == 200
            waiting.remove(lucky)
            served.append(lucky)
        end = server.stop()
    assert (end.requests, end.connections, end.accepts) == (workers(case) + 6, workers(case) + 3, workers(case) + 3)


@each_prethread
def test_the_spread_over_the_workers_adds_up(case: Case, folder: Path) -> None:
    with serving(case.model, folder, options=case.options) as server:
        clients = [server.client() for _ in range(workers(case))]
        assert {client.ask(GET).status for client in clients} == {200}
        for _ in range(10):
            assert clients.pop(0).ask(GET_AND_CLOSE).status == 200
            clients.append(server.client())
            assert clients[-1].ask(GET).status == 200
        spread = server.stop().connections_by_worker
    assert spread is not None
    assert len(spread) == workers(case)
    assert sum(spread) == workers(case) + 10 + 1
    assert min(spread) >= 1


@pytest.mark.slow
@each_in_three_processes
def test_a_killed_process_is_replaced_and_what_it_counted_stays(case: Case, folder: Path) -> None:
    with serving(case.model, folder, options=case.options) as server:
        clients = [server.client() for _ in range(workers(case))]
        assert {client.ask(GET).status for client in clients} == {200}
        pids = owners(server, clients)
        os.kill(pids[0], signal.SIGKILL)
        lost = [client for client, pid in zip(clients, pids, strict=True) if pid == pids[0]]
        assert all(client.at_end() for client in lost)
        others = [client for client in clients if client not in lost]
        assert {client.ask(GET).status for client in others} == {200}
        late = [server.client() for _ in lost]
        assert {client.ask(GET).status for client in late} == {200}
        assert not set(owners(server, late)) & set(pids)
        end = server.stop()
    assert (end.requests, end.connections, end.forks) == (6 + 4 + 2, 6 + 2, 3 + 1)
    assert end.connections_by_worker is not None
    assert (len(end.connections_by_worker), sum(end.connections_by_worker)) == (6, 6 + 2 + 1)


@each_prethread
def test_a_server_that_has_nothing_to_do_can_be_stopped(case: Case, folder: Path) -> None:
    with serving(case.model, folder, options=case.options) as server:
        end = server.stop()
    assert (end.requests, end.connections, end.accepts) == (0, 0, 0)


@each_prethread
def test_a_server_whose_threads_are_all_taken_can_be_stopped(case: Case, folder: Path) -> None:
    with serving(case.model, folder, options=case.options) as server:
        served = [server.client() for _ in range(workers(case))]
        assert {client.ask(GET).status for client in served} == {200}
        served[0].send(GET[:-4])
        waiting = server.client()
        waiting.send(GET)
        end = server.stop()
        assert all(client.at_end() for client in (*served, waiting))
    assert (end.requests, end.connections) == (workers(case), workers(case))


@pytest.mark.slow
@each_prethread
def test_a_stop_under_load_loses_no_answer(case: Case, folder: Path) -> None:
    """What clients got is at most what the server counted, and at most one more per client was under way."""
    answers = [0] * workers(case)
    with serving(case.model, folder, options=case.options) as server:

        def ask_on(number: int) -> None:
            try:
                while server.client().ask(GET_AND_CLOSE).status == 200:
                    answers[number] += 1
            except (EOFError, ConnectionError):
                return

        threads = [threading.Thread(target=ask_on, args=(number,)) for number in range(len(answers))]
        for thread in threads:
            thread.start()
        wait_for(lambda: all(count > 20 for count in answers))
        end = server.stop()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert sum(answers) <= counted(end) <= sum(answers) + len(answers)
    assert end.accepts == end.connections


@each_variant
def test_a_thread_keeps_its_connection_to_the_backend_from_one_client_to_the_next(variant: str, folder: Path) -> None:
    with slow_backend() as backend:
        address = {"host": "127.0.0.1", "port": backend.port, "timeout_s": PATIENCE_S}
        options = {"variant": variant, "threads": 4}
        with serving("prethread", folder, options=options, backend=address) as server:
            backend.answer_only(4)
            for _ in range(5):
                clients = [server.client() for _ in range(4)]
                asked = [partial(client.ask, GET_AND_CLOSE) for client in clients]
                assert {answer.status for answer in at_once(asked)} == {200}
            end = server.stop()
    assert backend.connections == 4
    assert (end.requests, end.backend_calls) == (20, 21)


@each_variant
@pytest.mark.parametrize("processes", [1, 3])
def test_threads_and_processes_made_are_counted(variant: str, processes: int, folder: Path) -> None:
    options: dict[str, str | int] = {"variant": variant, "processes": processes, "threads": 5}
    with serving("prethread", folder, options=options) as server:
        made = 6 if variant == "handoff" else 5  # one more accepts
        main = psutil.Process(server.pid)
        crews = [main] if processes == 1 else main.children()
        wait_for(lambda: all(crew.num_threads() == made + 1 for crew in crews))
        end = server.stop()
    assert (end.threads, end.forks) == (made * processes, 0 if processes == 1 else processes)


def test_more_workers_than_can_be_counted_are_one_line(folder: Path) -> None:
    options = all_options("prethread", {"processes": 256, "threads": 4096})
    write_config(folder, "prethread", options=options)
    assert _fails(start("prethread", folder)) == (
        "prethread: 256 processes of 4096 threads: 131072 workers at once are the most; lower one of them\n"
    )


def test_fewer_threads_than_asked_for_are_one_line_and_no_server(folder: Path) -> None:
    write_config(folder, "prethread", options=all_options("prethread", {"threads": 4}))
    limits = ["--nproc=1"]  # the process itself, and no thread
    if os.geteuid() == 0:  # the limit holds for others only; as one of them it still has to read and write our files
        limits += [
            "setpriv",
            "--reuid=61234",
            "--clear-groups",
            *(f"--{of}-caps=+dac_override" for of in ("inh", "ambient")),
        ]
    assert _fails(start("prethread", folder, limits)) == (
        "prethread: only 0 of 5 threads of a process: can't start new thread; "
        "lower `threads`, or raise what the host allows\n"
    )


def _fails(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (1, "")
    return err


def _in_listen_queue(server: Server) -> int:
    """Connections that the kernel has and the server has not accepted (ss shows the same)."""
    [line] = [
        line
        for line in Path("/proc/net/tcp").read_text().splitlines()
        if line.split()[1].endswith(f":{server.port:04X}") and line.split()[3] == "0A"
    ]
    return int(line.split()[4].partition(":")[2], 16)
