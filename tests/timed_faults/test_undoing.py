"""Undoing on a host that fails in part: whatever can be undone is. The failures are made up, as real ones are rare."""

import time
from collections.abc import Sequence
from typing import Any

import pytest

from harness.errors import HostError
from harness.hosts.connection import Done
from harness.timed_faults import FaultSchedule, FaultTarget
from harness.timed_faults.actions import action_for
from tests.timed_faults.conftest import fault, wait_until

PEERS = ("10.0.0.7", "10.1.0.7", "fd00::7")


class Host:
    """Answers every command, but for those that are to fail."""

    def __init__(self) -> None:
        self.failing: tuple[str, ...] = ()
        self.run_with: list[str] = []

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", as_root: bool = False) -> Done:
        line = " ".join(argv)
        self.run_with.append(line)
        if self.failing and line.startswith(self.failing):
            return Done(1, "", "resource busy\n")
        return Done(0, f"{argv[-1]} dev eth{PEERS.index(argv[-1])} src 10.0.0.2" if argv[0] == "ip" else "", "")

    def target(self) -> FaultTarget:
        nobody: Any = None
        return FaultTarget(host="a", here=False, run=self.run, peers=PEERS, service=nobody, url="")


@pytest.mark.parametrize(
    ("asked", "failing", "tried"),
    [
        ({"do": "partition"}, "iptables-restore", "ip6tables-restore"),
        ({"do": "delay", "delay": "1 ms"}, "tc qdisc del dev eth1", "tc qdisc del dev eth0"),
    ],
)
def test_what_cannot_be_undone_keeps_nothing_else_from_being_undone(
    asked: dict[str, Any], failing: str, tried: str
) -> None:
    host = Host()
    action = action_for(fault(at="1 s", **asked), host.target(), 1.0)
    action.act()
    host.run_with.clear()
    host.failing = (failing,)
    assert action.undo is not None
    with pytest.raises(HostError, match=r"^a: .*resource busy"):
        action.undo()
    assert any(line.startswith(tried) for line in host.run_with)
    host.failing = ()
    host.run_with.clear()
    action.undo()
    assert [line for line in host.run_with if not line.startswith(failing)] == []  # what is undone is not undone again
    assert len(host.run_with) == 1


@pytest.mark.parametrize(
    ("asked", "failing"), [({"do": "partition"}, "iptables-restore"), ({"do": "delay", "delay": "1 ms"}, "tc")]
)
def test_a_fault_that_fails_and_cannot_be_undone_may_have_left_something_and_that_is_told(
    asked: dict[str, Any], failing: str
) -> None:
    host = Host()
    host.failing = (failing,)
    with FaultSchedule([fault(at="0 s", **asked)], [host.target()]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: faults.report()[0].detail != "")
    (trouble,) = faults.troubles
    assert trouble.startswith(f"{asked['do']} of server 1 failed, may be half done, and could not be undone: a: ")
    (told,) = faults.report()
    assert (told.outcome, told.undone_ns) == ("failed", None)
    assert trouble in told.detail


def test_a_fault_that_fails_and_is_undone_leaves_nothing_to_tell() -> None:
    host = Host()
    host.failing = ("tc -batch",)
    with FaultSchedule([fault(at="0 s", do="delay", delay="1 ms")], [host.target()]) as faults:
        faults.arm(time.monotonic_ns())
        wait_until(lambda: faults.report()[0].detail != "")
    assert any(line.startswith("tc qdisc del") for line in host.run_with)
    assert faults.troubles == []
