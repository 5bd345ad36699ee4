"""A long run at a high rate: what the client remembers of it does not grow without bound."""

import selectors
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Process
from pathlib import Path
from socket import create_server, socket

import psutil
import pytest

from tests.client.running import checked, client, finish
from tests.client.servers import OK_RESPONSE

pytestmark = pytest.mark.soak

RATE_PER_S = 20_000
WINDOW_S = 600.0
SETTLED_S = 120.0  # by then what has gathered is as much as is ever kept: 64 MiB, a bit more than a minute of this rate
MOST_GROWTH_BYTES = 24 << 20  # a client that is short of CPU has up to 2 s of requests waiting, 100 bytes each


def serve(listener: socket) -> None:
    """Answer every read as one request; in a process of its own, which the client's requests would else wait for."""
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                selector.register(listener.accept()[0], selectors.EVENT_READ)
                continue
            connection = key.fileobj
            assert isinstance(connection, socket)
            with suppress(OSError):  # a client that was short of CPU may have given a request up
                if connection.recv(65_536):
                    connection.sendall(OK_RESPONSE)
                    continue
            selector.unregister(connection)
            connection.close()


@contextmanager
def serving() -> Iterator[str]:
    with create_server(("127.0.0.1", 0), backlog=1_024) as listener:
        process = Process(target=serve, args=(listener,), daemon=True)
        process.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            process.kill()
            process.join()


@pytest.mark.timeout(WINDOW_S + 300)
def test_ten_minutes_at_20_000_a_second_take_no_more_memory_than_two(tmp_path: Path) -> None:
    settings = {"kind": "open", "rate_per_s": RATE_PER_S, "arrivals": "poisson", "connections": 64, "timeout_s": 2.0}
    memory: list[tuple[float, int]] = []
    with serving() as url, client(tmp_path, url=url, window_s=WINDOW_S, **settings) as process:
        assert process.stdout is not None
        seen = psutil.Process(process.pid)
        for number, line in enumerate(process.stdout):  # two ticks a second
            if '"tick"' in line:
                memory.append((number / 2, seen.memory_info().rss))
            if '"drained"' in line:
                break
        ended = finish(process, tmp_path)
    report = checked(ended)
    assert report.schedule == pytest.approx(RATE_PER_S * WINDOW_S, rel=0.01)
    after = [size for second, size in memory if second > SETTLED_S]
    sys.stderr.write(f"{len(memory)} looks; after {SETTLED_S:g} s {min(after):,} to {max(after):,} bytes\n")
    assert max(after) - after[0] < MOST_GROWTH_BYTES
