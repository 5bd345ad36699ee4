"""A server's host cut off, delayed, or made to lose packets: what iptables and tc are given to read. Pure.

Both take a list of changes on their standard input: one round trip for all peers, and of iptables all changes or none. Only
packets from and to the peers are touched, so that the controller's own SSH goes on.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

COMMENT = "ceiling-fault"
"""Of every rule that we make: by it `harness clean` tells ours from others'."""

HANDLE = "ce11:"
"""Of the queueing discipline that we make, by which ours is told from others'."""

WAIT_S = "5"  # for whoever else is changing the tables
PACKETS = 100_000  # that may wait at once: netem drops what is beyond, and its own default is 1,000
_BAND = "4"  # the traffic that no other filter chooses goes to bands 1 to 3, as without us
_PRIOMAP = "1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1"  # the kernel's own default


def by_family(peers: Iterable[str]) -> dict[str, list[str]]:
    """Peers by the tool that knows their kind of address: `iptables`, `ip6tables`."""
    found: dict[str, list[str]] = {}
    for peer in dict.fromkeys(peers):
        found.setdefault("iptables" if ip_address(peer).version == 4 else "ip6tables", []).append(peer)
    return found


def restore_command(tool: str) -> tuple[str, ...]:
    """What reads a list of changes and makes all of them or none."""
    return (f"{tool}-restore", "--noflush", "--wait", WAIT_S)


def cut(peers: Sequence[str]) -> bytes:
    """Drop all that comes from these peers or goes to them."""
    return _table(f"-I {rule}" for rule in _rules(peers))


def joined(peers: Sequence[str]) -> bytes:
    """Take those rules away again; fails as a whole where one of them is not there."""
    return _table(f"-D {rule}" for rule in _rules(peers))


def ours_removed(saved: str) -> bytes | None:
    """Take away whatever rule is ours.

    Args:
        saved: what `iptables-save` prints, or those lines of it that have our comment.

    Returns:
        None where none is.
    """
    ours = [line for line in saved.splitlines() if line.startswith("-A ") and f"--comment {COMMENT} " in f"{line} "]
    return _table(line.replace("-A ", "-D ", 1) for line in ours) if ours else None


def _rules(peers: Sequence[str]) -> list[str]:
    comment = f"-m comment --comment {COMMENT} -j DROP"
    ends = (("INPUT", "-s"), ("OUTPUT", "-d"))
    return [f"{chain} {end} {peer} {comment}" for peer in peers for chain, end in ends]


def _table(changes: Iterable[str]) -> bytes:
    return "\n".join(["*filter", *changes, "COMMIT", ""]).encode()


BATCH = ("tc", "-batch", "-")
"""What reads a list of changes, and ends at the first that fails."""


def impaired(device: str, peers: Sequence[str], how: str) -> bytes:
    """Put what goes to these peers through netem, and nothing else.

    Args:
        device: the interface.
        peers: addresses.
        how: `delay_words` or `loss_words`.
    """
    changes = [
        f"qdisc add dev {device} root handle {HANDLE} prio bands 4 priomap {_PRIOMAP}",
        f"qdisc add dev {device} parent {HANDLE}{_BAND} netem limit {PACKETS} {how}",
        *(
            f"filter add dev {device} parent {HANDLE} protocol {_protocol(peer)} prio {_PRIO[_protocol(peer)]}"
            f" u32 match {_protocol_word(peer)} dst {peer} flowid {HANDLE}{_BAND}"
            for peer in dict.fromkeys(peers)
        ),
    ]
    return "\n".join([*changes, ""]).encode()


def delay_words(delay_ns: int) -> str:
    """The words of netem for a delay, to the microsecond."""
    return f"delay {max(1, round(delay_ns / 1e3))}us"


def loss_words(share: float) -> str:
    """The words of netem for a share of the packets that is lost, by chance and each by itself."""
    return f"loss random {share * 100:.6g}%"


def restored(device: str) -> tuple[str, ...]:
    """Gives an interface back its default queueing discipline."""
    return ("tc", "qdisc", "del", "dev", device, "root", "handle", HANDLE)


def device_of(route: str) -> str:
    """The interface that `ip -o route get ADDRESS` names; empty where it names none."""
    words = route.split()
    return words[words.index("dev") + 1] if "dev" in words[:-1] else ""


_PRIO = {"ip": 1, "ipv6": 2}  # filters of one priority are all of one protocol


def _protocol(peer: str) -> str:
    return "ip" if ip_address(peer).version == 4 else "ipv6"


def _protocol_word(peer: str) -> str:
    return "ip" if ip_address(peer).version == 4 else "ip6"


TRIED = "lo"  # every network namespace has one

NETEM_TRIES: tuple[tuple[str, ...], ...] = tuple(
    ("unshare", "--net", "tc", "qdisc", "add", "dev", TRIED, "root", *words)
    for words in (("netem", "delay", "1ms"), ("handle", HANDLE, "prio", "bands", "4"))
)
"""Whether the kernel has both disciplines: tried in a network namespace of its own, which is gone with the command."""

BATCH_TRIED = ("unshare", "--net", *BATCH)
"""Whether it has the filters as well: the same for a whole list of changes."""


def cutting_tried(tool: str) -> tuple[str, ...]:
    """Whether a table can be changed, and knows comments: tried in a network namespace of its own as well."""
    return ("unshare", "--net", *restore_command(tool))
