"""The servers whose behaviour is known do what they are known for."""

import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from tests.bench.beside import NotMeasuredError, free_port
from tests.bench.gates.client import all_right, run_client
from tests.bench.truth.delay import delaying
from tests.bench.truth.freeze import freeze
from tests.bench.truth.stamps import stamping
from tests.bench.truth.timer import lateness_ns

CORE = min(os.sched_getaffinity(0))
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def ask(port: int, times: int) -> list[int]:
    """Ask so many times on one connection; when each was sent, CLOCK_MONOTONIC."""
    sent = []
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        for _ in range(times):
            sent.append(time.monotonic_ns())
            connection.sendall(ASK)
            assert connection.recv(4_096).startswith(b"HTTP/1.1 200 OK")
    return sent


def test_the_delay_server_records_what_it_made() -> None:
    with delaying(CORE, 0.001) as server:
        ask(server.port, 5)
        report = server.stop()
    assert (report.answers, sum(report.delays_ns.values())) == (5, 5)


def test_the_stamping_server_notes_every_arrival_after_its_send() -> None:
    with stamping(CORE) as server:
        sent = ask(server.port, 5)
        stamps = server.stop()
    assert len(stamps) == 5
    assert all(at >= since for at, since in zip(stamps, sent, strict=True))


def test_a_frozen_process_is_stopped_for_the_time_and_goes_on() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        try:
            watched = psutil.Process(process.pid)
            stopped_s = freeze(process.pid, time.monotonic_ns(), 0.05)
            assert stopped_s > 0  # how long is for the gate to say: a busy machine stops it late
            assert watched.status() != psutil.STATUS_STOPPED
        finally:
            process.kill()


def test_a_bare_timer_loop_is_never_early_and_misses_nothing() -> None:
    late = lateness_ns(500, 0.2, CORE)
    assert len(late) == 100
    assert min(late) >= 0


def test_the_client_is_run_and_told_when_its_window_starts() -> None:
    starts: list[int] = []
    with stamping(CORE) as server:
        run = run_client(
            server.port, CORE, started=starts.append, connections=2, warmup_s=0.0, window_s=0.2, expect_body_bytes=2
        )
        stamps = server.stop()
    assert starts == [run.report.window_start_ns]
    assert len(stamps) >= run.report.life_ok > 0
    assert run.cpu_s > 0


def test_a_client_that_cannot_run_is_no_measurement() -> None:
    with pytest.raises(NotMeasuredError, match="nothing listens"):
        run_client(free_port(), CORE, connections=1)


def test_a_run_with_errors_is_no_measurement() -> None:
    with stamping(CORE) as server:
        run = run_client(server.port, CORE, connections=2, warmup_s=0.0, window_s=0.1, expect_body_bytes=3)
    with pytest.raises(NotMeasuredError, match="wrong"):
        all_right(run, 2)
