"""Every model starts, counts, marks and ends as the contract says; what an end under load must be, the conformance suite asks."""

import json
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.models.support import GET, GET_AND_CLOSE, PATIENCE_S, counted, serving, start, wait_for, write_config


def test_an_answer_that_is_being_made_is_finished_before_the_end(model: str, folder: Path) -> None:
    with serving(model, folder, cpu_iterations=3_000_000) as server:
        _children_at_rest(server.pid)
        before_s = _tree_cpu_s(server.pid)
        client = server.client()
        client.send(GET)
        wait_for(lambda: _tree_cpu_s(server.pid) > before_s + 0.03)  # it takes a good deal longer than this
        assert server.stop().requests == 1
        assert client.response().status == 200


def test_each_mark_is_a_snapshot_of_the_counts(model: str, folder: Path) -> None:
    with serving(model, folder) as server:
        client = server.client()
        for _ in range(3):
            assert client.ask(GET).status == 200
        server.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: _has_taken(server.pid, signal.SIGUSR1))
        for _ in range(4):
            assert client.ask(GET).status == 200
        server.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: _has_taken(server.pid, signal.SIGUSR1))
        report = server.stop()
    first, second = report.marks
    assert counted(second) - counted(first) == 4
    assert first.at_ns < second.at_ns < report.at_ns
    assert report.model == model


def test_a_port_in_use_is_one_line(model: str, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        write_config(folder, model, port=port)
        process = start(model, folder)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"{model}: cannot listen on 127.0.0.1 port {port}: Address already in use")
    assert err.count("\n") == 1


def test_what_is_refused_is_counted_apart(model: str, folder: Path) -> None:
    with serving(model, folder) as server:
        for _ in range(3):
            client = server.client()
            assert client.ask(GET + b"G\0").status == 200
            assert client.response().status == 400
        end = server.stop()
    assert (end.bad_requests, end.requests, end.connections) == (3, 3, 3)


BROKEN_CONFIGS: dict[str, Callable[[dict[str, Any]], object]] = {
    "lacks port": lambda config: config.pop("port"),
    "unknown colour": lambda config: config.update(colour="red"),
    "contract 2": lambda config: config.update(contract=2),
    "port is 0": lambda config: config.update(port=0),
    "port is '80'": lambda config: config.update(port="80"),
    "backlog is True": lambda config: config.update(backlog=True),
    "host is ''": lambda config: config.update(host=""),
    "options must be": lambda config: config.update(options=[]),
    "handler must be": lambda config: config.update(handler="body"),
    "handler.kind is 'cat'": lambda config: config["handler"].update(kind="cat"),
    "handler.log is None": lambda config: config["handler"].update(log=None),
    "handler.body_bytes is -1": lambda config: config["handler"].update(body_bytes=-1),
    "handler.cpu_iterations is 1.5": lambda config: config["handler"].update(cpu_iterations=1.5),
}


@pytest.mark.parametrize("says", BROKEN_CONFIGS)
def test_a_wrong_configuration_is_one_line_and_exit_2(folder: Path, says: str) -> None:
    write_config(folder, "reactor")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    BROKEN_CONFIGS[says](config)
    path.write_text(json.dumps(config))
    process = start("reactor", folder)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (2, "")
    assert err.startswith(f"{path}: ")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("content", [None, b"{", b"\xff"])
def test_a_missing_or_unreadable_configuration_is_one_line_and_exit_2(
    model: str, folder: Path, content: bytes | None
) -> None:
    folder.mkdir()
    if content is not None:
        (folder / "config.json").write_bytes(content)
    process = start(model, folder)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert err.startswith(f"{folder / 'config.json'}: ")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_out_of_descriptors_connections_wait_and_the_server_does_not_spin(model: str, folder: Path) -> None:
    with serving(model, folder, limits=["--nofile=32"]) as server:
        clients = [server.client() for _ in range(60)]
        for client in clients:
            client.send(GET_AND_CLOSE)
        assert {client.response().status for client in clients} == {200}
        held = [server.client() for _ in range(40)]
        assert held[0].ask(GET).status == 200
        cpu_s = _tree_cpu_s(server.pid)
        threading.Event().wait(1.0)
        assert _tree_cpu_s(server.pid) - cpu_s < 0.5  # of the second in which there was nothing to do
        for client in held[:-1]:
            client.close()
        assert held[-1].ask(GET).status == 200
        end = server.stop()
    assert end.requests == 62
    assert end.wakeups is not None
    assert end.wakeups < 2_000


def _children_at_rest(pid: int) -> int:
    """How many there are once none has come or gone for a while: the processes made ahead, if the model makes any."""
    seen: list[set[int]] = []

    def at_rest() -> bool:
        seen.append({child.pid for child in psutil.Process(pid).children()})
        return len(seen) > 30 and all(children == seen[-1] for children in seen[-30:])

    wait_for(at_rest)
    return len(seen[-1])


def _tree_cpu_s(pid: int) -> float:
    process = psutil.Process(pid)
    total = 0.0
    for one in (process, *process.children()):
        try:
            total += sum(one.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return total


def _has_taken(pid: int, number: signal.Signals) -> bool:
    """Whether a signal has been delivered and dealt with: Python's own handler runs a little after the kernel's delivery."""
    return not _pending(pid, number) and psutil.Process(pid).status() == psutil.STATUS_SLEEPING


def _pending(pid: int, number: signal.Signals) -> bool:
    """Whether a signal still waits to be delivered to the process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("ShdPnd:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    raise AssertionError("no ShdPnd in /proc/PID/status")
