"""The probe as a black box, against real processes."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from harness.result import Sample
from tests.probe.conftest import DEADLINE_S, Probe, Target

WORKERS = """
    import os, sys, threading, time
    {before}
    for _ in range(3):
        if os.fork() == 0:
            threading.Thread(target=sys.stdin.read, daemon=True).start()
            {work}
            sys.stdin.read()
            os._exit(0)
    time.sleep(0.5)
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
        for _ in range(20):
            if os.fork() == 0:
                until = time.process_time() + 0.002
                while time.process_time() < until: pass
                sys.stdin.read()
                os._exit(0)
        time.sleep(0.5)
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
        for _ in range(40):
            if os.fork() == 0:
                until = time.process_time() + 0.008
                while time.process_time() < until:
                    for _ in range(200): {work}
                sys.stdin.read()
                os._exit(0)
        time.sleep(1)
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


def test_an_edge_has_pss_only_where_asked_for(probe: Probe, target: Target) -> None:
    server = target("ballast = bytearray(32 << 20)")
    running = probe(server={"pid": server.pid, "cgroup": False})
    running.edge()
    running.edge(signal.SIGUSR2)
    without, with_pss = samples(running.report(), "edges")
    assert without.pss_bytes is None
    assert with_pss.pss_bytes is not None
    assert 32 << 20 <= with_pss.pss_bytes < 64 << 20


def test_memory_that_forked_workers_share_is_counted_once(probe: Probe, target: Target) -> None:
    server = target(WORKERS.format(before="ballast = b'x' * (64 << 20)", work="pass"))
    running = probe(server={"pid": server.pid, "cgroup": False})
    running.edge(signal.SIGUSR2)
    (edge,) = samples(running.report(), "edges")
    assert edge.pss_bytes is not None
    assert 64 << 20 <= edge.pss_bytes < 2 * 64 << 20


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
    assert {sample.voluntary_switches for sample in regular} == {None}
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
    assert asked_ns < report["host"][-1]["at_ns"] < told_ns


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


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_an_edge_asked_for_before_the_end_is_taken_first(probe: Probe, target: Target, number: signal.Signals) -> None:
    running = probe(server={"pid": target("").pid, "cgroup": False})
    running.process.send_signal(signal.SIGSTOP)
    running.process.send_signal(number)
    running.process.send_signal(signal.SIGTERM)
    running.process.send_signal(signal.SIGCONT)
    assert len(samples(running.report(), "edges")) == 1


def test_the_image_is_plain_and_needs_nothing_but_python() -> None:
    """The classic builder builds it; no package is installed."""
    lines = (Path(__file__).parents[2] / "images/probe/Dockerfile.j2").read_text().splitlines()
    assert {line.split()[0] for line in lines} <= {"FROM", "COPY", "WORKDIR", "ENV", "RUN", "ENTRYPOINT", "CMD"}
    assert all("compileall" in line for line in lines if line.startswith("RUN"))
