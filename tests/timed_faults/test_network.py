"""What iptables and tc are given to read, and that they take it: iptables in a network namespace of the test's own."""

import subprocess

import pytest

from harness.timed_faults import network

PEERS = ["10.0.0.7", "10.0.0.8"]


def in_a_namespace(script: str, *arguments: str, stdin: bytes = b"") -> str:
    """Run a script where nothing of this machine's network is touched; what it prints."""
    words = ["unshare", "--net", "sh", "-ec", script, "sh", *arguments]
    done = subprocess.run(words, input=stdin, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_peers_go_to_the_tool_that_knows_their_kind_of_address_each_once() -> None:
    assert network.by_family(["10.0.0.7", "fd00::7", "10.0.0.7", "fd00::8"]) == {
        "iptables": ["10.0.0.7"],
        "ip6tables": ["fd00::7", "fd00::8"],
    }


def test_what_is_cut_off_is_dropped_both_ways_and_joining_leaves_nothing() -> None:
    script = """
        iptables-restore --noflush --wait 5
        iptables-save -t filter
    """
    cut = in_a_namespace(script, stdin=network.cut(PEERS))
    dropped = [line for line in cut.splitlines() if line.startswith("-A ")]
    assert len(dropped) == 2 * len(PEERS)
    assert all(f"--comment {network.COMMENT} -j DROP" in line for line in dropped)
    both = network.cut(PEERS) + network.joined(PEERS)
    assert "-A " not in in_a_namespace(script, stdin=both)


def test_joining_what_is_not_cut_off_changes_nothing_and_says_so() -> None:
    script = "iptables-restore --noflush --wait 5 || iptables-save -t filter"
    assert "-A " not in in_a_namespace(script, stdin=network.joined(PEERS))


def test_only_rules_of_ours_are_removed() -> None:
    script = """
        iptables -A INPUT -s 10.1.1.1 -j DROP
        iptables -A INPUT -s 10.1.1.2 -m comment --comment ceiling-faulty -j DROP
        iptables-restore --noflush --wait 5
        iptables-save -t filter
    """
    changes = network.ours_removed(in_a_namespace(script, stdin=network.cut(PEERS)))
    assert changes is not None
    removed = changes.decode()
    assert removed.count("\n-D ") == 2 * len(PEERS)
    assert "10.1.1." not in removed


def test_where_no_rule_is_ours_nothing_is_removed() -> None:
    assert network.ours_removed("*filter\n-A INPUT -s 10.1.1.1/32 -j DROP\nCOMMIT\n") is None


def test_netem_gets_what_goes_to_the_peers_and_nothing_else() -> None:
    lines = network.impaired("eth0", ["10.0.0.7", "fd00::7"], network.delay_words(2_500_000)).decode().splitlines()
    assert lines == [
        "qdisc add dev eth0 root handle ce11: prio bands 4 priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1",
        "qdisc add dev eth0 parent ce11:4 netem limit 100000 delay 2500us",
        "filter add dev eth0 parent ce11: protocol ip prio 1 u32 match ip dst 10.0.0.7 flowid ce11:4",
        "filter add dev eth0 parent ce11: protocol ipv6 prio 2 u32 match ip6 dst fd00::7 flowid ce11:4",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (network.delay_words(40_000_000), "delay 40000us"),
        (network.delay_words(1), "delay 1us"),  # the least that netem knows
        (network.loss_words(0.01), "loss random 1%"),
        (network.loss_words(0.000_25), "loss random 0.025%"),
    ],
)
def test_amounts_in_the_words_of_netem(words: str, said: str) -> None:
    assert words == said


def test_tc_understands_every_line_and_the_kernel_s_filters_take_the_peers() -> None:
    """Where this kernel lacks a discipline, the filters are hung on another one, and tc's own parser is all that reads netem's words."""
    lines = network.impaired(
        "lo", [*PEERS[:1], "fd00::7"], f"{network.delay_words(1)} {network.loss_words(0.5)}"
    ).decode()
    prio, netem, *filters = lines.splitlines()
    script = """
        for line in "$1" "$2"; do echo "$line" | tc -batch - 2>&1 || true; done
        tc qdisc del dev lo root 2> /dev/null || true
        tc qdisc add dev lo root handle ce11: htb
        tc -batch -
        tc filter show dev lo
    """
    told = in_a_namespace(script, prio, netem, stdin="\n".join(filters).encode())
    refused = {line for line in told.splitlines() if line.startswith(("Error", "What", "Unknown", "Illegal"))}
    assert refused <= {"Error: Specified qdisc kind is unknown.", "Error: Failed to find specified qdisc."}, told
    assert told.count("flowid ce11:4") == 2
    assert "match 0a000007/ffffffff at 16" in told  # the destination of IPv4


@pytest.mark.parametrize(
    ("route", "device"),
    [
        ("10.0.0.7 dev eth0 src 10.0.0.2 uid 0 \\    cache ", "eth0"),
        ("10.9.0.7 via 10.0.0.1 dev ens5 src 10.0.0.2 uid 0 \\    cache ", "ens5"),
        ("local 127.0.0.1 dev lo src 127.0.0.1 uid 0 \\    cache <local> ", "lo"),
        ("RTNETLINK answers: Network is unreachable", ""),
    ],
)
def test_the_interface_by_which_a_peer_is_reached(route: str, device: str) -> None:
    assert network.device_of(route) == device
