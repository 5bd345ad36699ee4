"""The kernel's walls around the server: memory, open files, the listen queue, the network."""

from harness import readings
from harness.histogram import bounds_of
from harness.judging.culprits.words import bytes_in_words, cpu_of_both, kept_waiting, namespace_of
from harness.judging.evidence import BUSY, Evidence
from harness.raw import HistogramName
from harness.result import ServiceUsage

FULL = 0.95
"""Memory in use over its limit from which running into the limit is no mere page cache being trimmed."""

NEARLY_ALL = 0.98
"""Open descriptors over their limit, seen at an edge, from which the limit was met: connections close in between."""

RETRIED_NS = 900_000_000
"""From here on a connect has had its SYN sent again: the kernel's first patience is 1 s."""

DROPPED = 0.01
"""Share of connections that had to be tried again from which the listen queue shows in a p99."""

RETRANSMITTED = 0.01
"""Segments sent again over requests answered, from which the network shows in a p99; and requests that were held up by it."""

RESENT_NS = 200_000_000
"""From here on a request may have waited for a segment to be sent again: the least timeout of Linux (TCP_RTO_MIN)."""

LATE = ("timeout", "connect-timeout")
"""Endings that a lost segment may have as well."""


def memory(evidence: Evidence) -> str | None:
    """The kernel killed for memory, or a server stood at its limit and ran into it."""
    return next((said for who, usage in _each(evidence) if (said := _memory(who, usage)) is not None), None)


def _memory(who: str, usage: ServiceUsage) -> str | None:
    limit = f"its limit of {bytes_in_words(usage.memory_limit_bytes)}" if usage.memory_limit_bytes else "its limit"
    if usage.oom_kills:
        return f"the kernel killed {usage.oom_kills} of {who}'s processes for memory ({limit})"
    used = usage.memory_bytes
    if not usage.memory_limit_hits or not usage.memory_limit_bytes or used is None:
        return None
    if used < FULL * usage.memory_limit_bytes:
        return None
    return (
        f"{who} stood at {used / usage.memory_limit_bytes:.0%} of {limit}, and ran into it"
        f" {usage.memory_limit_hits:,} times in {usage.interval_s:.1f} s"
    )


def open_files(evidence: Evidence) -> str | None:
    """A process of a server is at its limit of open files, and connections wait."""
    waiting = kept_waiting(evidence)
    if waiting is None:
        return None
    for who, usage in _each(evidence):
        if usage.fullest_descriptors is None or not usage.descriptor_limit:
            continue
        if usage.fullest_descriptors >= NEARLY_ALL * usage.descriptor_limit:
            return (
                f"a process of {who} had {usage.fullest_descriptors:,} of the {usage.descriptor_limit:,} files open that it"
                f" may (EMFILE), and {waiting}"
            )
    return None


def _each(evidence: Evidence) -> list[tuple[str, ServiceUsage]]:
    """Each server, as a sentence names it: a limit is one server's own."""
    if evidence.each:
        return list(evidence.each.items())
    return [] if evidence.usage is None else [("the server", evidence.usage)]


def listen_queue_of_idle_server(evidence: Evidence) -> str | None:
    """Connections were dropped although the server had CPU left: its backlog, or its way to accept, is the wall."""
    return None if evidence.held_back else listen_queue(evidence)


def listen_queue(evidence: Evidence) -> str | None:
    """The kernel dropped connections as the queue was full, and clients had to try again."""
    network, retried = evidence.network, _retried(evidence)
    if network is None or retried is None:
        return None
    dropped = max(network.listen_overflows, network.listen_drops) + network.syn_drops
    if not dropped:
        return None
    most = "" if network.accept_queue_most is None else f"; up to {network.accept_queue_most} waited to be accepted"
    if network.accept_queue_limit is not None:
        most += f", of {network.accept_queue_limit} that may"
    return (
        f"{network.listen_overflows:,} listen queue overflows and {network.syn_drops:,} dropped SYNs in"
        f" {network.interval_s:.1f} s{namespace_of(evidence)}; {retried}{most}; {cpu_of_both(evidence)}"
    )


def _retried(evidence: Evidence) -> str | None:
    """Connections that show a drop: tried again after 1 s, or given up; None where too few to tell."""
    client = evidence.client
    begun: tuple[tuple[HistogramName, int], ...] = (
        ("connect", client.connect_missing),
        ("first_byte", client.first_byte_missing),
    )
    for name, missing in begun:
        counts = client.histograms.get(name, {})
        slow = sum(count for index, count in counts.items() if bounds_of(index)[1] >= RETRIED_NS)
        total = sum(counts.values()) + missing
        if slow + missing > DROPPED * total:
            what = "connects" if name == "connect" else "first answers of connections"
            return f"{slow + missing:,} of {total:,} {what} took 0.9 s or more, or never came"
    growth = client.growth
    if growth is not None and growth.failure == "connect-timeout":
        return "new connections were not taken in time"
    return None


def link_full(evidence: Evidence) -> str | None:
    """The link carried all that it can."""
    network = evidence.network
    if network is None or network.link_share is None or network.link_share < BUSY:
        return None
    return f"the link carried {network.link_share:.0%} of what it can; {cpu_of_both(evidence)}"


def retransmits(evidence: Evidence) -> str | None:
    """Segments were lost on the way: not at the listen queue, whose drops are sent again, too."""
    network = evidence.network
    if network is None or network.listen_drops or network.syn_drops:
        return None
    # Counters of the whole host accuse only with what this trial's requests felt: others are sent again there, too.
    if evidence.trial.network == "host" and not _held_up(evidence):
        return None
    answered = readings.answered_rps(evidence.client, evidence.server) * network.interval_s
    if not answered or network.retransmits <= RETRANSMITTED * answered:
        return None
    return (
        f"{network.retransmits:,} segments had to be sent again in {network.interval_s:.1f} s{namespace_of(evidence)},"
        f" {network.retransmits / answered * 100:.1f} for each 100 requests; {cpu_of_both(evidence)}"
    )


def _held_up(evidence: Evidence) -> bool:
    """Whether more than 1 % of the requests took as long as a segment that is sent again, or longer."""
    client = evidence.client
    counts = client.histograms.get("service") or client.histograms.get("response", {})
    late = sum(client.errors.get(kind, 0) for kind in LATE)
    slow = sum(count for index, count in counts.items() if bounds_of(index)[1] >= RESENT_NS)
    return slow + late > RETRANSMITTED * (sum(counts.values()) + late)
