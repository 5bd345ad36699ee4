"""From the probe's samples to what a server used, and how busy the cores of both sides were. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

from harness.hosts.cores import CoreMap
from harness.raw import ClientReport, MemoryLook, NetworkLook, ProbeReport, Sample, ServerReport
from harness.result import CoreLoad, NetworkUse, ServiceUsage, Side

Kind = Literal["voluntary_switches", "involuntary_switches"]
Fault = Literal["minor_faults", "major_faults"]
Amount = TypeVar("Amount", int, float)


def usage_of(probe: ProbeReport, service: str, cores: int, server: ServerReport | None) -> ServiceUsage | None:
    """What a service used between the window's two edges; None where it was gone by the second.

    Args:
        probe: what it saw.
        service: which service.
        cores: that it was given.
        server: its exit report, where it writes one.
    """
    edges = probe.edges.get(service, ())
    if len(edges) < 2:
        return None
    first, last = edges[0], edges[1]
    looks = probe.memory.get(service, ())
    idle = next((look for look in looks if look.at_ns < first.at_ns), None)
    plateau = next((look for look in looks if look.at_ns > last.at_ns), None)
    between = [sample for sample in probe.samples.get(service, ()) if first.at_ns < sample.at_ns < last.at_ns]
    within = [first, *between, last]
    interval_s = (last.at_ns - first.at_ns) / 1e9
    delay_s = _grown(first.run_delay_s, last.run_delay_s)
    fullest = _fullest(first, last)
    return ServiceUsage(
        interval_s=interval_s,
        cores=cores,
        cpu_user_s=last.cpu_user_s - first.cpu_user_s,
        cpu_system_s=last.cpu_system_s - first.cpu_system_s,
        memory_bytes=_memory(plateau, within),
        processes=max(sample.processes for sample in within),
        threads=max(sample.threads for sample in within),
        voluntary_switches_per_s=_switches_per_s("voluntary_switches", first, last, server),
        involuntary_switches_per_s=_switches_per_s("involuntary_switches", first, last, server),
        throttled_s=_grown(first.throttled_s, last.throttled_s),
        minor_faults_per_s=_live_per_s("minor_faults", first, last),
        major_faults_per_s=_live_per_s("major_faults", first, last),
        descriptors=max((look.descriptors for look in (first, last) if look.descriptors is not None), default=None),
        fullest_descriptors=fullest.fullest_descriptors,
        descriptor_limit=fullest.descriptor_limit,
        run_delay_share=None if delay_s is None else delay_s / interval_s / cores,
        memory_limit_bytes=last.memory_limit_bytes,
        memory_limit_hits=_grown(first.memory_limit_hits, last.memory_limit_hits),
        oom_kills=last.oom_kills,
        network=network_use(probe.network.get(service, ()), first.at_ns, last.at_ns),
        idle=idle,
        plateau=plateau,
    )


def client_usage(probe: ProbeReport, client: ClientReport, cores: int) -> ServiceUsage:
    """What the load client used in the window, by its own word, and what happened in its network namespace.

    Args:
        probe: what it saw.
        client: the client's report, of all its processes.
        cores: that it was given.
    """
    window_s = (client.window_end_ns - client.window_start_ns) / 1e9
    delays = [process.run_delay_s for process in client.processes]
    known_s = [delay_s for delay_s in delays if delay_s is not None]
    processes = max(1, len(client.processes))
    return ServiceUsage(
        interval_s=window_s,
        cores=cores,
        cpu_user_s=client.cpu_user_s,
        cpu_system_s=client.cpu_system_s,
        memory_bytes=None,
        processes=processes,
        threads=processes,
        voluntary_switches_per_s=None,
        involuntary_switches_per_s=None,
        throttled_s=None,
        run_delay_share=sum(known_s) / window_s / processes if known_s and len(known_s) == len(delays) else None,
        network=network_use(probe.network.get("client", ()), client.window_start_ns, client.window_end_ns),
    )


def network_use(looks: Sequence[NetworkLook], from_ns: int, to_ns: int) -> NetworkUse | None:
    """What happened in a network namespace between two instants, by the looks nearest to them; None without two.

    Args:
        looks: at the namespace, in order of time.
        from_ns: the window's start, CLOCK_MONOTONIC.
        to_ns: its end.
    """
    first, last = (min(looks, key=lambda look: abs(look.at_ns - at_ns), default=None) for at_ns in (from_ns, to_ns))
    if first is None or last is None or last.at_ns <= first.at_ns:
        return None
    within = [look for look in looks if first.at_ns <= look.at_ns <= last.at_ns]
    queues = [look.accept_queue for look in within if look.accept_queue is not None]
    interval_s = (last.at_ns - first.at_ns) / 1e9
    return NetworkUse(
        interval_s=interval_s,
        listen_overflows=last.listen_overflows - first.listen_overflows,
        listen_drops=last.listen_drops - first.listen_drops,
        syn_drops=last.syn_drops - first.syn_drops,
        syn_cookies=last.syn_cookies - first.syn_cookies,
        retransmits=last.retransmits - first.retransmits,
        time_wait=max(look.time_wait for look in within),
        accept_queue=sum(queues) / len(queues) if queues else None,
        accept_queue_most=max(queues, default=None),
        accept_queue_limit=last.accept_queue_limit,
        accept_queue_waiting=sum(queue > 0 for queue in queues) / len(queues) if queues else None,
        link_share=_link_share(first, last, interval_s),
    )


def _link_share(first: NetworkLook, last: NetworkLook, interval_s: float) -> float | None:
    carried = (
        _grown(first.bytes_received, last.bytes_received),
        _grown(first.bytes_sent, last.bytes_sent),
    )
    known = [amount for amount in carried if amount is not None]
    if not last.link_bytes_per_s or not known:
        return None
    return max(known) / interval_s / last.link_bytes_per_s


def _fullest(first: Sample, last: Sample) -> Sample:
    """Whichever edge shows the process that is closest to its limit of open files."""

    def share(sample: Sample) -> float:
        return (sample.fullest_descriptors or 0) / (sample.descriptor_limit or 1)

    return max(first, last, key=share)


def _grown(before: Amount | None, after: Amount | None) -> Amount | None:
    """Growth of a counter; None where it is not known, or where what it counted went away in between."""
    if before is None or after is None or after < before:
        return None
    return after - before


def _memory(plateau: MemoryLook | None, within: Sequence[Sample]) -> int | None:
    """PSS on the plateau; the cgroup's mean over the window where there is a cgroup."""
    known = [sample.memory_bytes for sample in within if sample.memory_bytes is not None]
    if known:
        return sum(known) // len(known)
    return None if plateau is None else plateau.pss_bytes


def _switches_per_s(kind: Kind, first: Sample, last: Sample, server: ServerReport | None) -> float | None:
    """Context switches per second.

    Tasks that have ended are invisible to the probe, and only getrusage in the server knows them. So: what the
    server says of itself and its reaped children, and the probe of the children that live. Without the server's
    word, live tasks alone tell nothing when some have ended.
    """
    marks = server.marks if server is not None else ()
    if len(marks) >= 2 and getattr(marks[0], kind) is not None:
        own = _rate(marks[0].at_ns, marks[1].at_ns, getattr(marks[0], kind), getattr(marks[1], kind))
        children = _rate(first.at_ns, last.at_ns, getattr(first, f"child_{kind}"), getattr(last, f"child_{kind}"))
        return max(0.0, own + children)
    return _live_per_s(kind, first, last)


def _live_per_s(kind: Kind | Fault, first: Sample, last: Sample) -> float | None:
    """What the probe alone saw, per second; None where more of it ended with its tasks than came.

    Page faults of a process that has ended live on in its parent's line, once the parent has waited for it: they need
    no word of the server.
    """
    rate = _rate(first.at_ns, last.at_ns, getattr(first, kind), getattr(last, kind))
    return rate if rate >= 0 else None


def _rate(from_ns: int, to_ns: int, before: int, after: int) -> float:
    return (after - before) / ((to_ns - from_ns) / 1e9)


def core_loads(host: Sequence[Mapping[str, float]], client: ClientReport, cores: CoreMap) -> dict[Side, CoreLoad]:
    """How busy each side's cores were between the looks nearest to the window's edges; nothing without two looks."""
    start, end = (
        min(host, key=lambda look: abs(look["at_ns"] - edge_ns), default=None)
        for edge_ns in (client.window_start_ns, client.window_end_ns)
    )
    if start is None or end is None or end["at_ns"] <= start["at_ns"]:
        return {}
    return {side: _load(side, cpus, start, end) for side, cpus in cores.watched.items()}


def _load(side: str, cpus: Sequence[int], start: Mapping[str, float], end: Mapping[str, float]) -> CoreLoad:
    given_s = len(cpus) * (end["at_ns"] - start["at_ns"]) / 1e9
    busy, stolen = ((end[key] - start[key]) / given_s for key in (f"{side}_busy_s", f"{side}_steal_s"))
    return CoreLoad(cpus=tuple(cpus), busy=round(busy, 4), stolen=round(stolen, 4))
