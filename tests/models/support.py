"""Starting a model exactly as the contract says, and speaking HTTP to it byte by byte."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.raw import ServerMark, ServerReport
from harness.spec.catalogue import load_model, option_values

IMAGES = Path(__file__).parents[2] / "images"
PATIENCE_S = 20.0  # every wait's deadline; generous, because other tests load the machine
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
HANDLER = {"kind": "body", "body_bytes": 128, "cpu_iterations": 0, "log": "off", "backend": None, "fault": "none"}


def http_models() -> list[str]:
    """Every folder of images/ that the process runtime can start and that speaks HTTP with exact counts."""
    models = []
    for path in sorted(IMAGES.glob("*/model.yaml")):
        model = yaml.safe_load(path.read_text())
        if model.get("entry") and model.get("protocol", "http") == "http" and model["counts"] == "exact":
            models.append(path.parent.name)
    return models


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection, with a buffer, so that pipelined answers can be told apart."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def response(self, *, head_only: bool = False) -> Response:
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        status = int(first.split()[1])
        length = 0 if head_only or status == 100 else int(headers["content-length"])
        while len(self._buffer) < length:
            self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Response(status, headers, body)

    def ask(self, data: bytes, *, head_only: bool = False) -> Response:
        self.send(data)
        return self.response(head_only=head_only)

    def at_end(self) -> bool:
        """Whether the server has closed, with nothing more to say."""
        try:
            return not self._buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError(f"the server closed after {self._buffer!r}")
        self._buffer += data


class Server:
    """A running model."""

    def __init__(
        self,
        model: str,
        folder: Path,
        handler: dict[str, Any],
        limits: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.port = write_config(folder, model, handler=handler, options=all_options(model, options or {}))
        self.process = start(model, folder, limits)
        self._clients: list[Client] = []

    @property
    def pid(self) -> int:
        return self.process.pid

    def client(self) -> Client:
        self._clients.append(Client(self.port))
        return self._clients[-1]

    def wait_ready(self) -> None:
        """Until it gives a right answer: one request, on one connection, which the counts below leave out."""

        def answers() -> bool:
            assert self.process.poll() is None, self.process.communicate()[1]
            try:
                client = self.client()
            except ConnectionRefusedError:
                return False
            return client.ask(GET_AND_CLOSE).status == 200

        wait_for(answers)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> ServerReport:
        """End it, and return its exit report, without the request that `wait_ready` made."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert (self.process.returncode, err) == (0, "")
        assert out.count("\n") == 1
        assert json.loads(out) == json.loads((self.folder / "out" / "exit.json").read_text())
        report = ServerReport.model_validate_json(out)
        accepts = None if report.accepts is None else report.accepts - 1
        requests = None if report.requests is None else report.requests - 1
        connections = None if report.connections is None else report.connections - 1
        fewer = {"requests": requests, "connections": connections, "accepts": accepts}
        return report.model_copy(update=fewer)

    def kill(self) -> None:
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        self.process.wait(PATIENCE_S)


def counted(mark: ServerMark) -> int:
    """The requests of a mark or a report, of a server that counts them."""
    assert mark.requests is not None
    return mark.requests


@contextmanager
def serving(
    model: str, folder: Path, limits: Sequence[str] = (), options: Mapping[str, Any] | None = None, **handler: Any
) -> Iterator[Server]:
    """A model that is ready, killed at the end if it still runs. Options not named have their defaults."""
    server = Server(model, folder, {**HANDLER, **handler}, limits, options)
    try:
        server.wait_ready()
        yield server
    finally:
        server.kill()


def start(model: str, folder: Path, limits: Sequence[str] = ()) -> "subprocess.Popen[str]":
    """Start a model as docs/contract/README.md says, under limits of `prlimit` where there are any."""
    return subprocess.Popen(
        [*(["prlimit", *limits] if limits else []), sys.executable, "server.py", str(folder)],
        cwd=IMAGES / model,
        env={**os.environ, "PYTHONPATH": str(IMAGES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def signalled(process: "subprocess.Popen[str]", *numbers: signal.Signals) -> Iterator[None]:
    """All of these signals, again and again, several thousand times a second."""
    done = threading.Event()

    def send() -> None:
        while not done.wait(0.0002):
            for number in numbers:
                process.send_signal(number)  # nothing is sent once it is known to have ended

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        done.set()
        sending.join(PATIENCE_S)


def all_options(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a model as the server is given them: every one present, sizes in bytes."""
    described = load_model(IMAGES / model)
    assert options.keys() <= described.options.keys(), f"{model} has no option of {sorted(options)}"
    defaults = {name: option.default for name, option in described.options.items()}
    return option_values(described, {**defaults, **options})


def write_config(folder: Path, model: str, **changes: Any) -> int:
    """Write config.json, make out/, and return the port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = {
        "contract": 1,
        "model": model,
        "host": "127.0.0.1",
        "port": port,
        "backlog": 4096,
        "options": all_options(model, {}),
        "handler": HANDLER,
        **changes,
    }
    (folder / "out").mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return int(config["port"])


def wait_for(condition: Callable[[], bool]) -> None:
    """Look until the condition holds.

    Raises:
        AssertionError: it still does not at the deadline.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)
