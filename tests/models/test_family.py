"""Workers made ahead: who dies is replaced, but not without end; nobody outlives the main process."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from harness.raw import ServerReport
from tests.models.support import IMAGES, PATIENCE_S, wait_for, write_config

pytestmark = pytest.mark.slow

WORKERS = 4
# A server of nothing but workers. Where the file `dead` lies in its folder, they die at birth, as it says.
SERVER = """
import os, sys
from pathlib import Path
from common.family import Family
from common.service import Service

service = Service.start()
dead = Path(sys.argv[1]) / "dead"

def life(slots):
    if dead.exists():
        if dead.read_text() == "exit":
            os._exit(1)
        raise RuntimeError("no life")
    service.become_worker(service.scoreboard.counts(slots[0]))
    while service.sleep(None):
        pass

family = Family(service, 4, 1, life)
family.run()
family.end()
service.finish()
"""


@contextmanager
def family(folder: Path, dies: str | None = None) -> Iterator["subprocess.Popen[str]"]:
    write_config(folder, "prefork")
    if dies is not None:
        (folder / "dead").write_text(dies)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder)],
        env={**os.environ, "PYTHONPATH": str(IMAGES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def stop(process: "subprocess.Popen[str]") -> tuple[ServerReport, str]:
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    return ServerReport.model_validate_json(out), err


def workers(process: "subprocess.Popen[str]") -> set[int]:
    """Those that live; the dead may not have been reaped yet."""
    return {child.pid for child in psutil.Process(process.pid).children() if _lives(child.pid)}


def test_all_workers_killed_at_once_are_replaced(folder: Path) -> None:
    with family(folder) as process:
        wait_for(lambda: len(workers(process)) == WORKERS)
        first = workers(process)
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(workers(process) - first) == WORKERS)
        report, err = stop(process)
    assert (report.forks, err) == (2 * WORKERS, "")
    assert report.connections_by_worker == (0,) * WORKERS


@pytest.mark.parametrize("dies", ["exit", "raise"])
def test_workers_that_die_at_birth_are_tried_again_ever_more_slowly(folder: Path, dies: str) -> None:
    start_s = time.monotonic()
    with family(folder, dies) as process:
        time.sleep(1.5)
        report, err = stop(process)
    rests_s = itertools.accumulate(min(0.1 * 2**turn, 1.0) for turn in range(30))
    most = 1 + sum(rest_s < time.monotonic() - start_s for rest_s in rests_s)  # a slow machine makes fewer
    assert report.forks is not None
    assert 1 < report.forks / WORKERS <= most < 10
    assert ("no life" in err) == (dies == "raise")


def test_workers_that_can_live_again_do(folder: Path) -> None:
    with family(folder, "exit") as process:
        wait_for(lambda: psutil.Process(process.pid).cpu_times().children_user > 0)  # some were born, died, were reaped
        (folder / "dead").unlink()
        wait_for(lambda: len(workers(process)) == WORKERS)
        living = workers(process)
        report, _ = stop(process)
    assert len(living) == WORKERS
    assert report.forks is not None
    assert report.forks > WORKERS


def test_workers_do_not_outlive_a_main_process_that_is_killed(folder: Path) -> None:
    with family(folder) as process:
        wait_for(lambda: len(workers(process)) == WORKERS)
        orphans = workers(process)
        process.kill()
        process.wait(PATIENCE_S)
        wait_for(lambda: not any(_lives(pid) for pid in orphans))


def test_a_worker_that_is_stopped_by_hand_is_replaced_and_the_server_goes_on(folder: Path) -> None:
    with family(folder) as process:
        wait_for(lambda: len(workers(process)) == WORKERS)
        first = workers(process)
        os.kill(min(first), signal.SIGTERM)
        wait_for(lambda: len(workers(process)) == WORKERS and min(first) not in workers(process))
        report, err = stop(process)
    assert (report.forks, err) == (WORKERS + 1, "")


@pytest.mark.parametrize("dying", [signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT])
def test_workers_that_die_of_themselves_during_the_stop_do_not_disturb_it(folder: Path, dying: signal.Signals) -> None:
    with family(folder) as process:
        wait_for(lambda: len(workers(process)) == WORKERS)
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGTERM)
        for pid in sorted(workers(process))[:2]:
            os.kill(pid, dying)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    assert ServerReport.model_validate_json(out).forks == WORKERS


def test_a_stop_while_workers_are_being_made_makes_no_more(folder: Path) -> None:
    write_config(
        folder, "prefork", options={"workers": 4_096, "accept": "blocking", "ballast": 0, "ballast_pages": "4k"}
    )
    process = subprocess.Popen(
        [sys.executable, "server.py", str(folder)],
        cwd=IMAGES / "prefork",
        env={**os.environ, "PYTHONPATH": str(IMAGES)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: bool(workers(process)))
        report, err = stop(process)
    finally:
        process.kill()
    assert err == ""
    assert report.forks is not None
    assert report.forks < 4_096


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
