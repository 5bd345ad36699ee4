"""A backend whose answer comes drop by drop and never ends: no model waits longer for it than for a silent one."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.models.cases import each_case
from tests.models.support import GET, PATIENCE_S, serving

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"


@contextmanager
def dripping_backend() -> Iterator[int]:
    """The first call is answered, each later one with a byte every 20 ms; its port."""
    done = threading.Event()

    def serve(connection: socket.socket, calls: Iterator[bytes]) -> None:
        with connection, suppress(OSError):
            while connection.recv(65_536):
                answer = next(calls)
                connection.sendall(answer)
                while answer == ENDLESS and not done.wait(0.02):
                    connection.sendall(b"x")

    def accept() -> None:
        calls = iter([ANSWER, *[ENDLESS] * 10])
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0], calls), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(PATIENCE_S)


@pytest.mark.slow
@each_case
def test_an_answer_that_never_ends_is_a_502_when_the_time_is_over(
    model: str, options: Mapping[str, object], folder: Path
) -> None:
    with dripping_backend() as port:
        address = {"host": "127.0.0.1", "port": port, "timeout_s": 0.4}
        with serving(model, folder, options=options, backend=address) as server:
            assert server.client().ask(GET).status == 502
            end = server.stop()
    assert (end.backend_calls, end.backend_errors, end.requests) == (2, 1, 0)
