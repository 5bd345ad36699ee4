"""What faults of the network have left is found by their marks, and nothing else is touched. Outputs are recorded ones."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.hosts.connection import Done
from harness.timed_faults import left_over_trouble, remove_left_over

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
Tools = Mapping[str, str]
"""What commands print that only look, by name; those that are not there are not on the host."""


class Host:
    """A host on which these commands say that; what looks is really run, with them alone."""

    def __init__(self, folder: Path, tools: Tools, failing: str = "") -> None:
        self.changed: list[tuple[tuple[str, ...], bytes]] = []
        self.looks = 0
        self._failing = failing
        self._path = folder / "bin"
        self._path.mkdir()
        for name in ("cat", "sed"):
            (self._path / name).symlink_to(shutil.which(name) or name)
        for name, told in tools.items():
            (self._path / f"{name}.txt").write_text(told)
            (self._path / name).write_text(f'#!/bin/sh\nexec cat "{self._path / name}.txt"\n')
            (self._path / name).chmod(0o755)

    def __call__(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"", as_root: bool = False) -> Done:
        assert as_root
        if argv[0] == "sh":
            self.looks += 1
            words = [shutil.which("sh") or "sh", *argv[1:]]
            done = subprocess.run(
                words, env={"PATH": str(self._path)}, capture_output=True, text=True, timeout=timeout_s, check=False
            )
            return Done(done.returncode, done.stdout, done.stderr)
        self.changed.append((tuple(argv), stdin))
        return (
            Done(1, "", "RTNETLINK answers: Device or resource busy\n") if argv[0] == self._failing else Done(0, "", "")
        )


def test_rules_and_disciplines_of_ours_go_and_others_stay(tmp_path: Path) -> None:
    host = Host(tmp_path, {"iptables-save": RULES, "tc": QUEUES})
    told = remove_left_over("a", host, dry_run=False)
    assert told == ["iptables rules of a fault", "netem of a fault on eth0"]
    (rules, given), (queues, _) = host.changed
    assert rules[0] == "iptables-restore"
    assert given.decode().splitlines()[1:-1] == [
        "-D INPUT -s 10.0.0.7/32 -m comment --comment ceiling-fault -j DROP",
    ]
    assert queues == ("tc", "qdisc", "del", "dev", "eth0", "root", "handle", "ce11:")


def test_a_dry_run_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path, {"iptables-save": RULES, "tc": QUEUES})
    assert len(remove_left_over("a", host, dry_run=True)) == 2
    assert host.changed == []


def test_a_host_without_the_tools_has_nothing_of_ours(tmp_path: Path) -> None:
    assert remove_left_over("a", Host(tmp_path, {}), dry_run=False) == []


def test_what_does_not_go_is_told_with_the_host(tmp_path: Path) -> None:
    host = Host(tmp_path, {"tc": QUEUES}, failing="tc")
    with pytest.raises(HostError, match=r"^a: netem of a fault on eth0 could not be taken away: RTNETLINK"):
        remove_left_over("a", host, dry_run=False)


def test_rules_of_both_families_are_found_each_for_its_own_tool(tmp_path: Path) -> None:
    six = "-A OUTPUT -d fd00::7/128 -m comment --comment ceiling-fault -j DROP\n"
    host = Host(tmp_path, {"iptables-save": RULES, "ip6tables-save": six})
    assert remove_left_over("a", host, dry_run=False) == ["iptables rules of a fault", "ip6tables rules of a fault"]
    assert [(command[0], b"fd00::7" in given) for command, given in host.changed] == [
        ("iptables-restore", False),
        ("ip6tables-restore", True),
    ]


def test_a_host_that_has_some_is_told_in_one_line_with_the_remedy_after_one_question(tmp_path: Path) -> None:
    host = Host(tmp_path, {"iptables-save": RULES, "tc": QUEUES})
    (line,) = left_over_trouble(host)
    assert "iptables rules of a fault, netem of a fault on eth0" in line
    assert "run `harness clean`" in line
    assert (host.looks, host.changed) == (1, [])


@pytest.mark.parametrize(
    "tools", [{}, {"iptables-save": RULES.replace("ceiling-fault", "mine"), "tc": "qdisc noqueue 0: dev lo root\n"}]
)
def test_a_host_that_has_none_is_no_trouble(tmp_path: Path, tools: Tools) -> None:
    assert left_over_trouble(Host(tmp_path, tools)) == []
