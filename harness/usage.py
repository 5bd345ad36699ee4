"""From the probe's samples to what a server used, and how busy the cores of both sides were. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal

from harness.hosts.cores import CoreMap
from harness.raw import ClientReport, MemoryLook, ProbeReport, Sample, ServerReport
from harness.result import CoreLoad, ServiceUsage

Kind = Literal["voluntary_switches", "involuntary_switches"]
Fault = Literal["minor_faults", "major_faults"]


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
    throttled_s = None
    if first.throttled_s is not None and last.throttled_s is not None:
        throttled_s = last.throttled_s - first.throttled_s
    return ServiceUsage(
        interval_s=(last.at_ns - first.at_ns) / 1e9,
        cores=cores,
        cpu_user_s=last.cpu_user_s - first.cpu_user_s,
        cpu_system_s=last.cpu_system_s - first.cpu_system_s,
        memory_bytes=_memory(plateau, within),
        processes=max(sample.processes for sample in within),
        threads=max(sample.threads for sample in within),
        voluntary_switches_per_s=_switches_per_s("voluntary_switches", first, last, server),
        involuntary_switches_per_s=_switches_per_s("involuntary_switches", first, last, server),
        throttled_s=throttled_s,
        minor_faults_per_s=_live_per_s("minor_faults", first, last),
        major_faults_per_s=_live_per_s("major_faults", first, last),
        descriptors=max((look.descriptors for look in (first, last) if look.descriptors is not None), default=None),
        idle=idle,
        plateau=plateau,
    )


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


def core_loads(
    host: Sequence[Mapping[str, float]], client: ClientReport, cores: CoreMap
) -> dict[Literal["server", "client", "backend"], CoreLoad]:
    """How busy each side's cores were between the looks nearest to the window's edges; nothing without two looks."""
    start, end = (
        min(host, key=lambda look: abs(look["at_ns"] - edge_ns), default=None)
        for edge_ns in (client.window_start_ns, client.window_end_ns)
    )
    if start is None or end is None or end["at_ns"] <= start["at_ns"]:
        return {}
    loads: dict[Literal["server", "client", "backend"], CoreLoad] = {
        "server": _load("server", cores.server, start, end),
        "client": _load("client", cores.client, start, end),
    }
    if cores.backend_apart:
        loads["backend"] = _load("backend", cores.backend, start, end)
    return loads


def _load(side: str, cpus: Sequence[int], start: Mapping[str, float], end: Mapping[str, float]) -> CoreLoad:
    given_s = len(cpus) * (end["at_ns"] - start["at_ns"]) / 1e9
    busy, stolen = ((end[key] - start[key]) / given_s for key in (f"{side}_busy_s", f"{side}_steal_s"))
    return CoreLoad(cpus=tuple(cpus), busy=round(busy, 4), stolen=round(stolen, 4))
