"""The server's side of a run made up for tests: exit report, usage, memory."""

import random

from harness.plan import PlannedTrial
from harness.raw import ClientReport, MemoryLook, ServerMark, ServerReport
from harness.result import ServiceUsage


def server_of(planned: PlannedTrial, client: ClientReport) -> ServerReport:
    """A server that counted what the client did: forks and threads as its model makes them."""
    model, done = planned.factors.get("model", "reactor"), client.completed_in_window
    made = done if planned.trial.load.lifetime == "per-request" else 0

    def mark(at_ns: int, requests: int, connections: int) -> ServerMark:
        counters = {
            "at_ns": at_ns,
            "requests": requests,
            "connections": connections,
            "forks": connections if model == "ppc" else 0,
            "threads": connections if model == "tpc" else 0,
            "wakeups": requests // 4 if model == "reactor" else connections // 50,
            "voluntary_switches": 0,
            "involuntary_switches": 0,
        }
        return ServerMark.model_validate(counters)

    start, end = client.window_start_ns, client.window_end_ns
    held = planned.trial.load.connections
    marks = (mark(start, 1_000, held), mark(end, 1_000 + done, held + made))
    return ServerReport(
        **marks[1].model_dump(),
        model=model,
        python="3.13",
        switch_interval_s=0.005,
        marks=marks,
    )


_HELD_BYTES = {"ppc": 1_500_000, "tpc": 120_000}
"""Memory that a connection holds, by model; 4,000 bytes with any other."""


def usage_of(planned: PlannedTrial, client: ClientReport, chance: random.Random) -> ServiceUsage:
    """What the probe saw of it: a process, a thread or a few kilobytes for each connection."""
    window_s, held = (client.window_end_ns - client.window_start_ns) / 1e9, planned.trial.load.connections
    model, kept = planned.factors.get("model", "reactor"), planned.trial.load.lifetime == "keep-alive"
    each = _HELD_BYTES.get(model, 4_000)
    return ServiceUsage(
        interval_s=window_s,
        cores=1,
        cpu_user_s=0.8 * window_s,
        cpu_system_s=0.19 * window_s,
        memory_bytes=20_000_000 + each * held + chance.randrange(100_000),
        processes=1 + held if model == "ppc" else 1,
        threads=1 + held if model in _HELD_BYTES else 1,
        voluntary_switches_per_s=client.completed_in_window * 0.3 / window_s,
        involuntary_switches_per_s=50.0,
        throttled_s=0.0,
        minor_faults_per_s=client.completed_in_window * (440.0 if model == "ppc" and not kept else 0.02) / window_s,
        major_faults_per_s=0.0,
        descriptors=6 + (0 if model == "ppc" else held),
        idle=_look(0, 20_000_000) if kept else None,
        plateau=_look(held, 20_000_000 + each * held + chance.randrange(1_000)) if kept else None,
    )


def _look(connections: int, pss_bytes: int) -> MemoryLook:
    return MemoryLook(
        at_ns=10**9,
        processes=1,
        threads=1,
        pss_bytes=pss_bytes,
        pss_file_bytes=3_000_000,
        page_table_bytes=60_000,
        kernel_stack_bytes=16_384,
        connections=connections,
        socket_queued_bytes=0,
        socket_reserved_bytes=0,
        socket_structure_bytes=3_584 * connections,
        cgroup_bytes=None,
    )
