"""The window's edges: the probe takes them by itself once it is told, and has the servers mark them."""

import errno
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from probe.marked import MARK, Marked
from probe.window import BadWindowError, Edges
from tests.hosts.forbidding import forbid as forbid_call
from tests.probe.conftest import DEADLINE_S, Probe, RunningProbe, Target

MS = 1_000_000
CALLS = {"pidfd_send_signal": 424, "pidfd_open": 434}  # their numbers, the same on every architecture
COUNTING = """
    import signal
    signal.signal(signal.SIGUSR1, lambda *_: print('marked', flush=True))
"""


def forbid(call: str, error: int) -> None:
    forbid_call(error, CALLS[call])


def tell(running: RunningProbe, start_ns: int, end_ns: int) -> None:
    half = running.folder / "half"
    half.write_text(json.dumps({"start_ns": start_ns, "end_ns": end_ns}))
    half.replace(running.folder / "window.json")


def looks_at(running: RunningProbe, name: str = "server") -> list[int]:
    """When it looked at the edges."""
    return [edge["at_ns"] for edge in running.report()["edges"][name]]


def marks_of(server: Any) -> list[str]:
    """End a server; the marks that it took."""
    output, _ = server.communicate(timeout=DEADLINE_S)
    return [line for line in output.splitlines() if line == "marked"]


def test_it_takes_both_edges_by_itself_not_before_they_are_due(probe: Probe, target: Target) -> None:
    running = probe(interval_s=30.0, server={"pid": target("").pid, "cgroup": False})
    start_ns = time.monotonic_ns() + 200 * MS
    end_ns = start_ns + 300 * MS
    tell(running, start_ns, end_ns)
    told = [running.event(), running.event()]
    assert [event["event"] for event in told] == ["edge", "edge"]
    first, second = looks_at(running)
    assert start_ns <= first <= told[0]["at_ns"]
    assert end_ns <= second <= told[1]["at_ns"]


@pytest.mark.parametrize("past_ms", [(100, -300), (500, 100)], ids=["only the first", "both"])
def test_an_edge_that_is_past_when_the_window_becomes_known_is_taken_at_once(
    probe: Probe, target: Target, past_ms: tuple[int, int]
) -> None:
    running = probe(interval_s=30.0, server={"pid": target("").pid, "cgroup": False})
    now_ns = time.monotonic_ns()
    start_ns, end_ns = (now_ns - past * MS for past in past_ms)
    tell(running, start_ns, end_ns)
    running.event()
    running.event()
    first, second = looks_at(running)
    assert now_ns < first < second
    assert second >= end_ns


def test_a_window_that_never_comes_leaves_no_edges(probe: Probe, target: Target) -> None:
    running = probe(server={"pid": target("").pid, "cgroup": False})
    time.sleep(0.2)
    assert looks_at(running) == []


def test_regular_samples_go_on_between_the_edges_and_behind_them(probe: Probe, target: Target) -> None:
    running = probe(interval_s=0.02, server={"pid": target("").pid, "cgroup": False})
    now_ns = time.monotonic_ns()
    tell(running, now_ns, now_ns + 400 * MS)
    running.event()
    running.event()
    time.sleep(0.4)
    report = running.report()
    first, second = (edge["at_ns"] for edge in report["edges"]["server"])
    times = [sample["at_ns"] for sample in report["samples"]["server"]]
    assert any(first < at < second for at in times)
    assert any(at > second for at in times)


def test_the_servers_that_are_to_mark_the_edges_do_and_no_others(probe: Probe, target: Target) -> None:
    marking, other = target(COUNTING), target(COUNTING)
    running = probe(
        interval_s=30.0,
        server={"pid": marking.pid, "cgroup": False, "mark": True},
        other={"pid": other.pid, "cgroup": False},
    )
    tell(running, 0, time.monotonic_ns() + 100 * MS)
    running.event()
    running.event()
    running.edge()  # asked for by a signal: the same
    assert len(looks_at(running)) == 3
    assert (len(marks_of(marking)), len(marks_of(other))) == (3, 0)


def test_a_server_that_has_ended_is_not_marked_and_the_others_are(probe: Probe, target: Target) -> None:
    gone, short, long = target(COUNTING), target(COUNTING), target(COUNTING)
    gone.kill()
    gone.wait()
    services = {
        name: {"pid": one.pid, "cgroup": False, "mark": True}
        for name, one in (("gone", gone), ("short", short), ("long", long))
    }
    running = probe(interval_s=30.0, **services)
    running.edge()
    short.kill()
    short.wait()
    running.edge()
    report = running.report()
    assert [len(report["edges"][name]) for name in ("gone", "short", "long")] == [0, 1, 2]
    assert len(marks_of(long)) == 2


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"start_ns": 1}', '{"start_ns": "a", "end_ns": 2}'])
def test_a_window_that_is_none_is_told(probe: Probe, target: Target, text: str) -> None:
    running = probe(server={"pid": target("").pid, "cgroup": False})
    half = running.folder / "half"
    half.write_text(text)
    half.replace(running.folder / "window.json")
    event = running.event()
    assert event["event"] == "error"
    assert "window.json: must be" in event["message"]
    assert running.process.wait(DEADLINE_S) == 1


def test_each_edge_is_due_once(tmp_path: Path) -> None:
    edges = Edges(tmp_path / "window.json")
    assert edges.next_look() > time.monotonic() - 1
    assert not edges.due()
    (tmp_path / "window.json").write_text(json.dumps({"start_ns": 0, "end_ns": 1}))
    assert not edges.due()  # it has not looked yet
    assert edges.next_look() == 0
    assert [edges.due() for _ in range(3)] == [True, True, False]
    assert edges.next_look() == float("inf")


def test_a_window_is_read_once_and_never_again(tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    path.write_text(json.dumps({"start_ns": 5, "end_ns": 6}))
    edges = Edges(path)
    assert edges.next_look() == 5e-9
    path.write_text("{")
    assert edges.next_look() == 5e-9
    with pytest.raises(BadWindowError):
        Edges(path).next_look()


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM], ids=["old kernel", "old seccomp profile"])
@pytest.mark.parametrize("call", ["pidfd_open", "pidfd_send_signal"])
def test_where_there_are_no_handles_on_processes_marks_go_by_number(target: Target, call: str, error: int) -> None:
    """In a child under a real seccomp filter, as the filter stays for good."""
    server, gone = target(COUNTING), target(COUNTING)

    def mark_twice() -> None:
        forbid(call, error)
        marked = [Marked(server.pid), Marked(gone.pid)]
        marked[1].mark()
        assert gone.stdout is not None
        assert gone.stdout.readline() == "marked\n"
        os.kill(
            gone.pid, signal.SIGKILL
        )  # Popen.kill() would first look whether it is a child of this process, and it is not
        deadline = time.monotonic() + DEADLINE_S
        while Path(f"/proc/{gone.pid}/stat").read_text().rpartition(") ")[2][0] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.001)
        for one in marked:
            one.mark()

    assert in_a_child(mark_twice) == 0
    assert len(marks_of(server)) == 1


def test_a_number_that_another_process_has_now_is_not_sent_a_mark(target: Target) -> None:
    """Here the process is the same and began, as it is remembered, at another time: for the one who looks that is no different."""
    server = target(COUNTING)

    def mark() -> None:
        forbid("pidfd_open", errno.EPERM)
        marked = Marked(server.pid)
        marked._began = b"1"
        marked.mark()

    assert in_a_child(mark) == 0
    assert marks_of(server) == []


@pytest.mark.parametrize("forbidden", [False, True], ids=["by handle", "by number"])
def test_a_server_that_it_may_not_send_signals_is_told_at_once(target: Target, forbidden: bool) -> None:
    """The one asked for is root's; root itself becomes nobody first."""
    server_pid = target(COUNTING).pid if os.geteuid() == 0 else 1

    def refused() -> None:
        if forbidden:
            forbid("pidfd_open", errno.EPERM)
        if os.geteuid() == 0:
            os.setuid(65_534)
        with pytest.raises(PermissionError):
            Marked(server_pid)

    assert in_a_child(refused) == 0


def in_a_child(act: Any) -> int:
    """Do this in a fork; its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_signal_of_a_mark_is_the_one_of_the_contract() -> None:
    assert MARK.name == "SIGUSR1"
