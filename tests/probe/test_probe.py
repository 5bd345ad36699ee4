"""The probe as a black box, against real processes."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from harness.raw import Sample
from tests.probe.conftest import DEADLINE_S, Probe, Target

WORKERS = """
    import os, sys, threading, time
    {before}
    told, tell = os.pipe()
    for _ in range(3):
        if os.fork() == 0:
            threading.Thread(target=sys.stdin.read, daemon=True).start()
            {work}
            os.write(tell, b"x")
            sys.stdin.read()
            os._exit(0)
    for _ in range(3): os.read(told, 1)
"""
BURN = "until = time.process_time() + 0.1\n            while time.process_time() < until: pass"


def samples(report: dict[str, Any], kind: str, name: str = "server") -> list[Sample]:
    return [Sample.model_validate(sample) for sample in report[kind][name]]


def test_a_tree_of_processes_is_one_service(probe: Probe, target: Target) -> None:
    server = target(WORKERS.format(before="", work=BURN))
    running = probe(server={"pid": server.pid, "cgroup": False})
    assert running.edge()["event"] == "edge"
    (edge,) = samples(running.report(), "edges")
    assert (edge.processes, edge.threads) == (4, 7)
    assert edge.cpu_user_s + edge.cpu_system_s >= 0.3
    assert (edge.memory_bytes, edge.throttled_s) == (None, None)


def test_cpu_time_is_exact_to_well_below_a_tick(probe: Probe, target: Target) -> None:
    """2 ms in each of 20 workers are four ticks together, and none where each is rounded to ticks."""
    server = target(
        """
        import os, sys, time
        told, tell = os.pipe()
        for _ in range(20):
            if os.fork() == 0:
                until = time.process_time() + 0.002
                while time.process_time() < until: pass
                os.write(tell, b"x")
                sys.stdin.read()
                os._exit(0)
        for _ in range(20): os.read(told, 1)
        """
    )
    running = probe(server={"pid": server.pid, "cgroup": False})
    running.edge()
    (edge,) = samples(running.report(), "edges")
    own_s = time.clock_gettime((~server.pid << 3) | 2)
    assert edge.cpu_user_s + edge.cpu_system_s - own_s >= 0.04


def test_time_of_many_short_workers_divides_as_they_spend_it(probe: Probe, target: Target) -> None:
    """Each of 40 uses 8 ms, less than a tick, in which /proc/PID/stat shows nothing at all."""
    script = """
        import os, sys, time
        told, tell = os.pipe()
        for _ in range(40):
            if os.fork() == 0:
                until = time.process_time() + 0.008
                while time.process_time() < until:
                    for _ in range(200): {work}
                os.write(tell, b"x")
                sys.stdin.read()
                os._exit(0)
        for _ in range(40): os.read(told, 1)
    """
    computing, calling = (target(script.format(work=work)) for work in ("pass", "os.stat('/')"))
    running = probe(computing={"pid": computing.pid, "cgroup": 0}, calling={"pid": calling.pid, "cgroup": 0})
    running.edge()
    report = running.report()
    user = {}
    for name in ("computing", "calling"):
        (edge,) = samples(report, "edges", name)
        user[name] = edge.cpu_user_s / (edge.cpu_user_s + edge.cpu_system_s)
    assert user["calling"] < user["computing"]


def test_children_that_have_ended_and_were_waited_for_still_count(probe: Probe, target: Target) -> None:
    server = target(
        """
        import os, time
        if os.fork() == 0:
            while time.process_time() < 0.3: pass
            os._exit(0)
        os.wait()
        """
    )
    running = probe(server={"pid": server.pid, "cgroup": False})
    running.edge()
    (edge,) = samples(running.report(), "edges")
    assert edge.processes == 1
    assert edge.cpu_user_s + edge.cpu_system_s >= 0.28


def test_switches_are_those_of_every_live_task_and_apart_those_of_children(probe: Probe, target: Target) -> None:
    nap = "for _ in range(50): time.sleep(0.001)"
    server = target(
        WORKERS.format(
            before="threading.Thread(target=lambda: [time.sleep(0.001) for _ in range(30)]).start()", work=nap
        )
    )
    running = probe(server={"pid": server.pid, "cgroup": False})
    running.edge()
    (edge,) = samples(running.report(), "edges")
    assert edge.child_voluntary_switches is not None
    assert edge.voluntary_switches is not None
    assert edge.child_voluntary_switches >= 3 * 50
    assert edge.voluntary_switches > edge.child_voluntary_switches
    assert edge.involuntary_switches is not None


def test_page_faults_of_children_count_while_they_live_and_after_they_were_waited_for(
    probe: Probe, target: Target
) -> None:
    """Each child touches 500 pages of its own; what else a child of Python's faults in is less than as much again."""
    server = target(
        """
        import mmap, os, sys
        def touch():
            memory = mmap.mmap(-1, 500 * mmap.PAGESIZE)
            memory.madvise(mmap.MADV_NOHUGEPAGE)
            for page in range(500): memory[page * mmap.PAGESIZE] = 1
            sys.stdout.write("t"); sys.stdout.flush()
        def children(number, live):
            for _ in range(number):
                if os.fork() == 0:
                    touch()
                    if live: sys.stdin.read()
                    os._exit(0)
        print("up", flush=True)
        sys.stdin.readline()
        children(4, live=False)
        for _ in range(4): os.wait()
        print("reaped", flush=True)
        sys.stdin.readline()
        children(4, live=True)
        """
    )
    running = probe(server={"pid": server.pid, "cgroup": False})
    assert server.stdin is not None
    assert server.stdout is not None
    running.edge()
    server.stdin.write("\n")
    server.stdin.flush()
    assert server.stdout.readline() == "ttttreaped\n"
    running.edge()
    server.stdin.write("\n")
    server.stdin.flush()
    assert sorted(server.stdout.read(7)) == sorted("ttttup\n")
    running.edge()
    before, reaped, alive = (edge.minor_faults or 0 for edge in samples(running.report(), "edges"))
    assert 4 * 500 <= reaped - before < 2 * 4 * 500
    assert 4 * 500 <= alive - reaped < 2 * 4 * 500


def test_open_descriptors_of_the_main_process(probe: Probe, target: Target) -> None:
    server = target("import os; kept = [os.open('/dev/null', 0) for _ in range(40)]")
    running = probe(server={"pid": server.pid, "cgroup": False})
    running.edge()
    (edge,) = samples(running.report(), "edges")
    assert edge.descriptors == 43


def test_it_samples_by_itself_cheaply_and_in_order(probe: Probe, target: Target) -> None:
    server = target("")
    running = probe(interval_s=0.02, server={"pid": server.pid, "cgroup": False})
    time.sleep(1)
    report = running.report()
    regular = samples(report, "samples")
    assert len(regular) >= 2
    assert [sample.at_ns for sample in regular] == sorted({sample.at_ns for sample in regular})
    dear = ("voluntary_switches", "run_delay_s", "descriptors", "fullest_descriptors")
    assert {getattr(sample, name) for sample in regular for name in dear} == {None}
    assert report["edges"] == {"server": []}
    assert len(report["host"]) == len(regular)


def test_an_edge_carries_the_time_at_which_it_was_taken(probe: Probe, target: Target) -> None:
    running = probe(interval_s=30.0, server={"pid": target("").pid, "cgroup": False})
    asked_ns = time.monotonic_ns()
    running.edge()
    told_ns = time.monotonic_ns()
    report = running.report()
    (edge,) = samples(report, "edges")
    assert asked_ns < edge.at_ns < told_ns
    assert any(asked_ns < look["at_ns"] < told_ns for look in report["host"])  # the first regular one may come later


def test_a_service_that_goes_away_has_no_further_samples_and_the_others_go_on(probe: Probe, target: Target) -> None:
    short, long = target(""), target("")
    running = probe(interval_s=30.0, short={"pid": short.pid, "cgroup": False}, long={"pid": long.pid, "cgroup": False})
    running.edge()
    short.kill()  # and it stays a zombie, as its parent does not ask
    os.waitid(os.P_PID, short.pid, os.WEXITED | os.WNOWAIT)
    running.edge()
    short.wait()
    running.edge()
    report = running.report()
    assert len(samples(report, "edges", "short")) == 1
    assert len(samples(report, "edges", "long")) == 3


def test_a_service_that_was_gone_before_has_no_samples(probe: Probe, target: Target) -> None:
    gone = target("")
    gone.kill()
    gone.wait()
    running = probe(tree={"pid": gone.pid, "cgroup": False}, group={"pid": gone.pid, "cgroup": True})
    running.edge()
    report = running.report()
    assert report["samples"] == report["edges"] == {"tree": [], "group": []}


def test_the_whole_cgroup_of_a_process_is_a_service(probe: Probe, target: Target) -> None:
    server = target("")
    running = probe(server={"pid": server.pid, "cgroup": True})
    running.edge()
    (edge,) = samples(running.report(), "edges")
    assert edge.processes >= 2  # this very test shares it
    assert edge.cpu_user_s + edge.cpu_system_s > 0


def test_the_host_is_sampled_beside(probe: Probe) -> None:
    running = probe(interval_s=30.0)
    running.edge()
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    running.edge()
    *_, before, after = running.report()["host"]
    assert after["cpu_busy_s"] - before["cpu_busy_s"] >= 0.2
    assert after["steal_s"] >= before["steal_s"]
    assert after["run_queue"] >= 1


def test_at_its_deadline_it_writes_what_it_has(probe: Probe, target: Target) -> None:
    running = probe(deadline_s=0.3, server={"pid": target("").pid, "cgroup": False})
    assert running.process.wait(DEADLINE_S) == 0
    report = json.loads((running.folder / "out/probe.json").read_text())
    assert samples(report, "samples")


def test_ctrl_c_ends_it_like_sigterm(probe: Probe) -> None:
    running = probe()
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(DEADLINE_S) == 0
    assert (running.folder / "out/probe.json").exists()


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGUSR1, "edges"), (signal.SIGUSR2, "memory")])
def test_a_look_asked_for_before_the_end_is_taken_first(
    probe: Probe, target: Target, number: signal.Signals, kind: str
) -> None:
    running = probe(server={"pid": target("").pid, "cgroup": False})
    running.process.send_signal(signal.SIGSTOP)
    running.process.send_signal(number)
    running.process.send_signal(signal.SIGTERM)
    running.process.send_signal(signal.SIGCONT)
    assert len(running.report()[kind]["server"]) == 1


def test_the_image_is_plain_and_needs_nothing_but_python() -> None:
    """The classic builder builds it; no package is installed."""
    lines = (Path(__file__).parents[2] / "images/probe/Dockerfile.j2").read_text().splitlines()
    assert {line.split()[0] for line in lines} <= {"FROM", "COPY", "WORKDIR", "ENV", "RUN", "ENTRYPOINT", "CMD"}
    assert all("compileall" in line for line in lines if line.startswith("RUN"))
