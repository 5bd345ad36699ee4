"""What faults of the network have left is found by their marks, and nothing else is touched. Outputs are recorded ones."""

from collections.abc import Sequence

import pytest

from harness.errors import HostError
from harness.hosts.connection import Done
from harness.timed_faults import remove_left_over

RULES = """\
*filter
:INPUT ACCEPT [0:0]
-A INPUT -s 10.1.1.1/32 -j DROP
-A INPUT -s 10.0.0.7/32 -m comment --comment ceiling-fault -j DROP
COMMIT
"""
QUEUES = """\
qdisc noqueue 0: dev lo root refcnt 2
qdisc prio ce11: dev eth0 root refcnt 2 bands 4 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1
qdisc netem 8001: dev eth0 parent ce11:4 limit 100000 delay 10ms
qdisc prio 8005: dev eth1 root refcnt 2 bands 3 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1
"""
ABSENT = Done(127, "", "sudo: iptables-save: command not found\n")


class Host:
    """A host on which these commands say that."""

    def __init__(self, said: dict[str, Done], failing: str = "") -> None:
        self.changed: list[tuple[tuple[str, ...], bytes]] = []
        self._said = said
        self._failing = failing

    def __call__(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", as_root: bool = False) -> Done:
        looks = argv[0].endswith("-save") or "show" in argv
        if looks:
            return self._said.get(argv[0], ABSENT)
        assert as_root
        self.changed.append((tuple(argv), stdin))
        return (
            Done(1, "", "RTNETLINK answers: Device or resource busy\n") if argv[0] == self._failing else Done(0, "", "")
        )


def test_rules_and_disciplines_of_ours_go_and_others_stay() -> None:
    host = Host({"iptables-save": Done(0, RULES, ""), "tc": Done(0, QUEUES, "")})
    told = remove_left_over("a", host, dry_run=False)
    assert told == ["iptables rules of a fault", "netem of a fault on eth0"]
    (rules, given), (queues, _) = host.changed
    assert rules[0] == "iptables-restore"
    assert given.decode().splitlines()[1:-1] == [
        "-D INPUT -s 10.0.0.7/32 -m comment --comment ceiling-fault -j DROP",
    ]
    assert queues == ("tc", "qdisc", "del", "dev", "eth0", "root", "handle", "ce11:")


def test_a_dry_run_says_the_same_and_changes_nothing() -> None:
    host = Host({"iptables-save": Done(0, RULES, ""), "tc": Done(0, QUEUES, "")})
    assert len(remove_left_over("a", host, dry_run=True)) == 2
    assert host.changed == []


def test_a_host_without_the_tools_has_nothing_of_ours() -> None:
    assert remove_left_over("a", Host({}), dry_run=False) == []


def test_what_does_not_go_is_told_with_the_host() -> None:
    host = Host({"tc": Done(0, QUEUES, "")}, failing="tc")
    with pytest.raises(HostError, match=r"^a: netem of a fault on eth0 could not be taken away: RTNETLINK"):
        remove_left_over("a", host, dry_run=False)
