"""A server for `harness load` whose behaviour is known, and the command as a person runs it."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
Serving = Callable[..., AbstractContextManager[str]]
Loading = Callable[..., tuple[int, dict[str, Any]]]


@contextmanager
def _server(delay_s: float = 0.0, missing: str = "") -> Iterator[str]:
    """A thread a connection; each answer takes a known time, and the path `missing` is a 404."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:

        def serve(connection: socket.socket) -> None:
            with connection:
                try:
                    while head := connection.recv(65_536):
                        time.sleep(delay_s)
                        gone = missing and head.split(b" ", 2)[1].decode() == missing
                        status = b"404 Not Found" if gone else b"200 OK"
                        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")
                except OSError:
                    pass

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def serving() -> Serving:
    """Start such a server; gives its URL."""
    return _server


@pytest.fixture
def command() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run `harness load …`."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "harness", "load", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


@pytest.fixture
def loading(command: Callable[..., "subprocess.CompletedProcess[str]"]) -> Loading:
    """Run `harness load … --json`; gives exit status and summary."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        done = command(*arguments, "--warmup", "100ms", "--json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run
