"""Connections lost: kept ones that the server ended without being asked to, and no others."""

import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from tests.client.running import await_event, checked, client, finish, run
from tests.client.servers import (
    CLOSE_RESPONSE,
    OK_RESPONSE,
    Make,
    Serve,
    Server,
    answering,
    requests_of,
    running,
    silent,
)

pytestmark = pytest.mark.slow

LOST = 3
RESET = struct.pack("ii", 1, 0)


def cutting(cut: threading.Event, *, reset: bool, idle: bool) -> Make:
    """Answer, until told to cut: then the first three connections end, with a request read or after an answer."""
    numbers = iter(range(1_000))

    def make(server: Server) -> Serve:
        def serve(connection: socket.socket) -> None:
            marked = next(numbers) < LOST
            for _ in requests_of(connection):
                if marked and cut.is_set() and not idle:
                    break
                connection.sendall(OK_RESPONSE)
                if marked and cut.is_set():
                    break
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

        return serve

    return make


def never_answering(server: Server) -> Serve:
    """Take a request and reset: what the queue of a server that dies does with a connect that it still took."""

    def serve(connection: socket.socket) -> None:
        for _ in requests_of(connection):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return

    return serve


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("idle", [False, True], ids=["under-way", "idle"])
def test_connections_that_the_server_ends_in_the_window_are_counted(tmp_path: Path, reset: bool, idle: bool) -> None:
    cut = threading.Event()
    load: dict[str, object] = {"kind": "open", "rate_per_s": 200} if idle else {}
    with (
        running(cutting(cut, reset=reset, idle=idle)) as server,
        client(tmp_path, url=server.url, connections=8, window_s=2.0, **load) as process,
    ):
        started = await_event(process, "started")
        time.sleep(max(0.0, started["window_start_ns"] / 1e9 + 0.2 - time.monotonic()))
        cut.set()
        report = checked(finish(process, tmp_path))
    assert report.connections_lost == LOST
    assert report.connections_opened == 8 + LOST  # each is opened anew, and kept then


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (answering(OK_RESPONSE), {}),
        (answering(CLOSE_RESPONSE, then_close=True), {}),  # it said so
        (answering(OK_RESPONSE, then_close=True), {"lifetime": "per-request"}),  # not to be kept
        (silent, {"timeout_s": 0.2}),  # given up by the client
        (never_answering, {}),  # never had
    ],
    ids=["kept", "announced", "per-request", "timeout", "never-answered"],
)
def test_an_end_that_was_agreed_on_or_the_clients_own_is_no_loss(
    tmp_path: Path, make: Make, settings: dict[str, object]
) -> None:
    with running(make) as server:
        assert checked(run(tmp_path, url=server.url, **settings)).connections_lost == 0


def test_what_is_refused_after_the_servers_end_was_never_had(tmp_path: Path) -> None:
    with (
        running(answering(OK_RESPONSE)) as server,
        client(tmp_path, url=server.url, connections=4, window_s=2.0) as process,
    ):
        started = await_event(process, "started")
        time.sleep(max(0.0, started["window_start_ns"] / 1e9 + 0.2 - time.monotonic()))
        server.stop()
        report = checked(finish(process, tmp_path))
    assert report.connections_lost == 4
    assert report.errors["refused"] > 0
