"""Shared parts that no black box shows."""

import json
import os
import socket
import subprocess
import sys

from common.scoreboard import REQUESTS, Scoreboard
from common.sockets import Listener
from common.work import work
from tests.models.support import IMAGES


def test_calibration_prints_one_json_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "common.calibrate"], cwd=IMAGES, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.count("\n") == 1
    assert 0.1 < json.loads(done.stdout)["iterations_per_us"] < 10_000


def test_work_is_the_same_every_time_and_different_for_each_number() -> None:
    results = [work(iterations) for iterations in range(100)]
    assert results == [work(iterations) for iterations in range(100)]
    assert len(set(results)) == len(results)


def test_a_childs_counts_reach_the_parent_even_if_it_is_killed() -> None:
    scoreboard = Scoreboard()
    slot = scoreboard.claim()
    pid = os.fork()
    if pid == 0:
        scoreboard.counts(slot)[REQUESTS] += 5
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    scoreboard.main[REQUESTS] += 2
    assert scoreboard.totals()["requests"] == 7
    scoreboard.release(slot)
    assert scoreboard.claim() == slot
    assert scoreboard.totals()["requests"] == 7


def test_accepted_sockets_have_the_shared_options() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    listener = Listener("127.0.0.1", port, 16)
    with socket.create_connection(("127.0.0.1", port), 5):
        [(connection, peer)] = list(listener.waiting(Scoreboard().main))
        with connection:
            assert peer == "127.0.0.1"
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert connection.getblocking()
            assert not connection.get_inheritable()
    assert listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    assert not listener.socket.get_inheritable()
    listener.close()
