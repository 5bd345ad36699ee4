"""How close a service is to its limits of memory and open files, and how long it waited for a CPU."""

from pathlib import Path
from typing import Any

import pytest

from harness.raw import Sample
from probe.limits import V1, V2, MemoryLimit, MemoryWall
from probe.processes import Fullest, descriptors, fullest, scheduling
from tests.probe.conftest import Probe, Target
from tests.probe.test_cgroups import lay

NO_LIMIT = {"v2": "max\n", "v1": "9223372036854771712\n"}
EVENTS = "low 0\nhigh 0\nmax {max}\noom 1\noom_kill {kills}\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n"


def v2(limit: str | None, hits: int = 0, kills: int = 0, local: int | None = None) -> dict[str, str]:
    files = {"memory.events": EVENTS.format(max=hits, kills=kills)}
    files |= {} if limit is None else {"memory.max": limit + "\n"}
    return files if local is None else files | {"memory.events.local": EVENTS.format(max=local, kills=kills)}


def v1(limit: str, hits: int = 0, kills: int | None = 0, hierarchy: str = "1") -> dict[str, str]:
    control = CONTROL.format(kills=kills) if kills is not None else CONTROL.split("oom_kill {", maxsplit=1)[0]
    files = {"memory.limit_in_bytes": limit + "\n", "memory.failcnt": f"{hits}\n", "memory.oom_control": control}
    return files | {"memory.use_hierarchy": hierarchy + "\n"}


TREES: dict[str, tuple[str, list[dict[str, str]], MemoryWall]] = {
    "v2, its own": ("v2", [v2("max"), v2("1000", 7, 2)], MemoryWall(1000, 7, 2)),
    "v2, that around it is tighter": ("v2", [v2("500", 9, 3), v2("1000", 7, 2)], MemoryWall(500, 9, 2)),
    "v2, that around it is wider": ("v2", [v2("5000", 9, 3), v2("1000", 7, 2)], MemoryWall(1000, 7, 2)),
    "v2, hits of its own limit only": ("v2", [v2("500", 9, 3, local=4), v2("1000", 7, 2)], MemoryWall(500, 4, 2)),
    "v2, none": ("v2", [v2("max", 9), v2("max", 0, 1)], MemoryWall(None, None, 1)),
    "v2, far above": ("v2", [v2("300"), v2("max"), v2("max", 0, 1)], MemoryWall(300, 0, 1)),
    "v2, controller off": ("v2", [{}, {}], MemoryWall(None, None, None)),
    "v2, controller on above only": ("v2", [v2("300", 1), {}], MemoryWall(300, 1, None)),
    "v1, its own": ("v1", [v1(NO_LIMIT["v1"].strip()), v1("4096", 7, 2)], MemoryWall(4096, 7, 2)),
    "v1, that around it": ("v1", [v1("4096", 9, 3), v1(NO_LIMIT["v1"].strip(), 0, 2)], MemoryWall(4096, 9, 2)),
    "v1, each for itself": (
        "v1",
        [v1("4096", 9, 3, hierarchy="0"), v1(NO_LIMIT["v1"].strip(), 0, 2)],
        MemoryWall(None, None, 2),
    ),
    "v1, none": ("v1", [v1(NO_LIMIT["v1"].strip())], MemoryWall(None, None, 0)),
    "v1, with swap": ("v1", [v1("4096", 7, 2) | {"memory.memsw.failcnt": "5\n"}], MemoryWall(4096, 12, 2)),
    "v1, close to it": ("v1", [v1("4096") | {"memory.max_usage_in_bytes": "4095\n"}], MemoryWall(4096, 0, 0)),
    "v1, of a kernel that does not count": (
        "v1",
        [v1("4096", 0, 1) | {"memory.max_usage_in_bytes": "4096\n"}],
        MemoryWall(4096, None, 1),
    ),
    "v1, of a kernel that counts no kills": ("v1", [v1("4096", 7, None)], MemoryWall(4096, 7, None)),
}


@pytest.mark.parametrize("name", TREES)
def test_the_tightest_limit_is_the_one_that_stops_it(tmp_path: Path, name: str) -> None:
    version, levels, expected = TREES[name]
    folder = tmp_path
    for files in levels:
        folder = folder / "inner"
        lay(folder, files)
    assert MemoryLimit(str(folder), V2 if version == "v2" else V1).look() == expected


def test_what_comes_later_is_seen_later(tmp_path: Path) -> None:
    lay(tmp_path, v2("1000", 7, 2))
    limit = MemoryLimit(str(tmp_path), V2)
    lay(tmp_path, v2("1000", 8, 3))
    assert limit.look() == MemoryWall(1000, 8, 3)


def test_a_cgroup_that_was_removed_tells_its_limit_and_nothing_more(tmp_path: Path) -> None:
    lay(tmp_path, v2("1000", 7, 2))
    limit = MemoryLimit(str(tmp_path), V2)
    for file in tmp_path.iterdir():
        file.unlink()
    assert limit.look() == MemoryWall(1000, None, None)


def process(root: Path, pid: int, used: int, soft: str | None) -> None:
    lay(root / f"{pid}/fd", {str(number): "" for number in range(used)})
    if soft is not None:
        header = "Limit                     Soft Limit           Hard Limit           Units     \n"
        lay(
            root / str(pid),
            {"limits": f"{header}Max open files            {soft:<20} 4096                 files     \n"},
        )


FULL: dict[str, tuple[list[tuple[int, str | None]], Fullest | None]] = {
    "one": ([(3, "10")], Fullest(3, 10)),
    "by share, not by number": ([(9, "1024"), (4, "8"), (5, "1024")], Fullest(4, 8)),
    "one without a limit": ([(9, "unlimited"), (4, "1024")], Fullest(4, 1024)),
    "all without": ([(9, "unlimited")], None),
    "one that is not to be read": ([(9, None), (4, "1024")], Fullest(4, 1024)),
    "none at all": ([], None),
}


@pytest.mark.parametrize("name", FULL)
def test_the_fullest_process_is_the_one_closest_to_its_own_limit(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's size is taken for none, as before Linux 6.2, so that what is recorded in it is counted."""
    processes, expected = FULL[name]
    for pid, (used, soft) in enumerate(processes, 1):
        process(tmp_path, pid, used, soft)
    monkeypatch.setattr("probe.processes._size", lambda folder: 0)
    assert fullest(str(tmp_path), range(1, len(processes) + 1)) == expected


def edge(probe: Probe, **service: Any) -> Sample:
    running = probe(server={"cgroup": False, **service})
    running.edge()
    return Sample.model_validate(running.report()["edges"]["server"][0])


def test_a_process_near_its_limit_is_told_from_its_siblings(probe: Probe, target: Target) -> None:
    """The main process has room; its child has opened all but two of the descriptors it may have."""
    server = target(
        """
        import os, resource, sys
        told, tell = os.pipe()
        if os.fork() == 0:
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            kept = []
            while len(os.listdir("/proc/self/fd")) - 1 < 62: kept.append(os.open("/dev/null", 0))
            os.write(tell, b"x")
            sys.stdin.read()
            os._exit(0)
        os.read(told, 1)
        """
    )
    found = edge(probe, pid=server.pid)
    assert (found.fullest_descriptors, found.descriptor_limit) == (62, 64)
    assert found.descriptors is not None
    assert found.descriptors < 62


def test_descriptors_of_a_process_that_is_gone_are_not_known(target: Target) -> None:
    gone = target("")
    gone.kill()
    gone.wait()
    assert descriptors("/proc", gone.pid) is None


WAITING = """
    import os, sys, time
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    told, tell = os.pipe()
    for _ in range(3):
        if os.fork() == 0:
            until = time.process_time() + 0.2
            while time.process_time() < until: pass
            os.write(tell, b"x")
            sys.stdin.read()
            os._exit(0)
    for _ in range(3): os.read(told, 1)
"""


def test_processes_that_share_one_cpu_wait_for_it_and_the_kernel_says_how_long(probe: Probe, target: Target) -> None:
    """Three times 0.2 s of work on one CPU: together they are ready and not run for 0.2 s at the least."""
    found = edge(probe, pid=target(WAITING).pid)
    assert found.run_delay_s is not None
    assert found.run_delay_s >= 0.2


@pytest.mark.parametrize("content", [None, "0 0 0\n"])
def test_a_kernel_that_keeps_no_waiting_times_gives_none_instead_of_zero(tmp_path: Path, content: str | None) -> None:
    lay(tmp_path / "self", {} if content is None else {"schedstat": content})
    status = "Name:\tx\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t3\n"
    lay(tmp_path / "4711/task/4711", {"status": status})
    found = scheduling(str(tmp_path), [4711], 4711)
    assert (found.voluntary, found.involuntary, found.run_delay_s) == (5, 3, None)


def test_waiting_is_summed_over_tasks(tmp_path: Path) -> None:
    lay(tmp_path / "self", {"schedstat": "7 0 1\n"})
    for pid, tid, delay in ((1, 1, 250_000_000), (1, 2, 500_000_000), (3, 3, 1_000_000_000)):
        lay(tmp_path / f"{pid}/task/{tid}", {"status": "", "schedstat": f"99 {delay} 4\n"})
    assert scheduling(str(tmp_path), [1, 3, 9], 1).run_delay_s == 1.75


def test_plain_processes_have_no_limit_of_a_cgroup_of_their_own(probe: Probe, target: Target) -> None:
    found = edge(probe, pid=target("").pid)
    assert (found.memory_limit_bytes, found.memory_limit_hits, found.oom_kills) == (None, None, None)
