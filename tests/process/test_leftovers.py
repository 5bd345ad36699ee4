"""A harness may be killed at any line: the next one finds what it left, and nothing else."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.leftovers import MARK, marked_processes
from harness.runtime.process import ProcessRuntime
from tests.process.conftest import Start, is_alive, write_script

DEADLINE_S = 20.0
ROOT = Path(__file__).parents[2]
FAMILY = """
    import os, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(120)
        time.sleep(120)
    print(os.getpid(), flush=True)
    time.sleep(120)
"""
HARNESS = """
import sys
from pathlib import Path
from harness.runtime.base import ServiceSpec, make_owner
from harness.runtime.process import ProcessRuntime

runtime = ProcessRuntime(make_owner("killed"), Path(sys.argv[1]), Path(sys.argv[2]))
while True:
    service = runtime.start(ServiceSpec("family", "server", "family", {}, ()))
    print(next(service.lines(20)), flush=True)
    if sys.argv[3] == "stay":
        sys.stdin.read()
    service.remove()
"""


@contextmanager
def another_harness(images: Path, workplace: Path, habit: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A harness in a process of its own, which starts a service and stays, or starts and removes services for ever."""
    write_script(images / "family", FAMILY)
    process = subprocess.Popen(
        [sys.executable, "-c", HARNESS, str(images), str(workplace), habit],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_pid(process: "subprocess.Popen[bytes]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def marks(workplace: Path) -> list[str]:
    return [folder.name for folder in workplace.iterdir()]


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_service_dies_with_the_harness(images: Path, workplace: Path) -> None:
    with another_harness(images, workplace, "stay") as harness:
        pid = first_pid(harness)
        assert is_alive(pid)
        harness.kill()
        await_true(lambda: not is_alive(pid))


def test_what_a_killed_harness_left_is_removed_to_the_last_grandchild(
    runtime: ProcessRuntime, images: Path, workplace: Path
) -> None:
    with another_harness(images, workplace, "stay") as harness:
        first_pid(harness)
        (mark,) = marks(workplace)
        await_true(lambda: len(marked_processes(mark)) == 3)
        harness.kill()
        harness.wait()
        assert len(marked_processes(mark)) >= 2
        assert runtime.clean() == 1
        assert marked_processes(mark) == []
        assert marks(workplace) == []


def test_what_a_live_harness_owns_is_not_touched(runtime: ProcessRuntime, images: Path, workplace: Path) -> None:
    with another_harness(images, workplace, "stay") as harness:
        pid = first_pid(harness)
        before = marks(workplace)
        assert runtime.clean() == 0
        assert is_alive(pid)
        assert marks(workplace) == before


@pytest.mark.slow
def test_killed_at_any_moment_it_leaves_nothing_that_is_not_found(
    runtime: ProcessRuntime, images: Path, workplace: Path
) -> None:
    chance = random.Random(1)
    for _ in range(12):
        with another_harness(images, workplace, "go round") as harness:
            first_pid(harness)
            seen = set(marks(workplace))
            time.sleep(chance.uniform(0, 0.2))
            seen |= set(marks(workplace))
            harness.kill()
            harness.wait()
            seen |= set(marks(workplace))
            runtime.clean()
            assert marks(workplace) == []
            # A launcher that was forked as its harness died ends itself, a moment later.
            await_true(lambda: not any(marked_processes(mark) for mark in seen))  # noqa: B023 - called at once


def test_its_own_are_removed_and_the_service_knows_it(runtime: ProcessRuntime, start: Start, workplace: Path) -> None:
    service = start("import time; time.sleep(60)")
    assert runtime.clean() == 1
    assert service.wait(DEADLINE_S) == -9
    assert marks(workplace) == []


def test_nothing_to_clean_is_no_error(runtime: ProcessRuntime) -> None:
    assert runtime.clean() == 0


class TestRecords:
    """A folder is judged by its record, and by its name where the record was never finished."""

    DEAD = "service.4194305.1.abcdef01"

    @pytest.mark.parametrize(
        ("name", "record", "removed"),
        [
            (DEAD, None, True),
            (DEAD, "", True),
            (DEAD, '{"ceiling.ho', True),
            (DEAD, "[]", True),
            (DEAD, json.dumps({**make_owner("x").labels(), "ceiling.pid-started": "1"}), True),
            (DEAD, json.dumps({**make_owner("x").labels(), "ceiling.boot": "before"}), True),
            (DEAD, json.dumps({**make_owner("x").labels(), "ceiling.host": "elsewhere", "ceiling.pid": "1"}), False),
            (DEAD, json.dumps(make_owner("x").labels()), False),
            (f"service.{make_owner('').pid}.{make_owner('').pid_started}.abcdef01", None, False),
            ("with.dots.in.it.4194305.1.abcdef01", None, True),
            ("somebody-elses", None, False),
            ("notes.txt", None, False),
        ],
        ids=[
            "no-record",
            "empty-record",
            "torn-record",
            "not-a-record",
            "pid-reused",
            "rebooted",
            "other-host",
            "alive",
            "alive-by-name",
            "dead-by-name",
            "not-ours",
            "a-file-s-name",
        ],
    )
    def test_whose_a_folder_is(
        self, runtime: ProcessRuntime, workplace: Path, name: str, record: str | None, removed: bool
    ) -> None:
        (workplace / name).mkdir(parents=True)
        if record is not None:
            (workplace / name / "owner.json").write_text(record)
        assert runtime.clean() == removed
        assert (workplace / name).exists() is not removed

    def test_a_process_without_the_mark_is_never_hit_whatever_its_id(
        self, runtime: ProcessRuntime, workplace: Path
    ) -> None:
        """Records hold no id of a service: there is none that could have been given to another process."""
        (workplace / self.DEAD).mkdir(parents=True)
        others = [{}, {MARK: self.DEAD + "x"}, {"X": f"{MARK}={self.DEAD[:-1]}"}]
        processes = [subprocess.Popen(["sleep", "60"], env={**os.environ, **other}) for other in others]
        marked = subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: self.DEAD})
        try:
            await_true(lambda: len(marked_processes(self.DEAD)) == 1)
            assert runtime.clean() == 1
            assert marked.wait(DEADLINE_S) == -9
            assert [process.poll() for process in processes] == [None] * len(others)
        finally:
            for process in (*processes, marked):
                process.kill()
                process.wait()


def test_a_start_that_fails_leaves_nothing(runtime: ProcessRuntime, images: Path, workplace: Path) -> None:
    write_script(images / "service", "")
    spec = ServiceSpec("service", "tool", "service", {"not": {"json"}}, ())
    with pytest.raises(TypeError):
        runtime.start(spec)
    assert not workplace.exists()
