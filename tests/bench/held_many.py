"""A hundred thousand connections held at once: a client of several processes against a server of several.

A process may open so many files, and a source address has so many ports towards one server; neither bounds a client
that has more of both (harness/clients.py plans how many). The server is the reactor whose main loop hands connections to loops in
processes of their own, as many as its files need. Every connection is opened with a first request, and held while a thin
stream goes through them all. Run it alone: `python -m tests.bench.held_many [--connections N]`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from harness.client_service import client_config
from harness.clients import BYTES_PER_CONNECTION, MOST_PROCESSES, OWN_FILES, ClientPlan, plan_client
from harness.deploy import Reached
from harness.hosts.cores import available_cores, divide_cores
from harness.hosts.room import Room, room_of_this_host
from harness.placement import PlacedClient
from harness.proof import Expected
from harness.raw import ClientReport
from harness.spec.experiment import Trial
from harness.spec.quantities import Duration, Rate
from harness.spec.traffic import Load
from tests.bench.beside import IMAGES, say
from tests.bench.servers import Model, Running, serving

ASKED = 100_000
ENOUGH = 0.95
CONNECTS_PER_S = 2_500.0  # of all processes: what one core accepts in Python beside the kernel's work for both ends
SERVER_BYTES = 16_384  # of a connection at the server's end, generously: about 6 KiB in the process, and the kernel's
DEADLINE_S = 600.0


@dataclass(frozen=True)
class Held:
    """What came of it."""

    report: ClientReport
    held: int  # connections open when the last request had ended
    server_connections: int  # that the server counted
    server_bytes: float  # of memory, per connection

    @property
    def served(self) -> int:
        """Connections that got an answer to their first request."""
        return sum(self.report.histograms["first_byte"].values())


def walls(room: Room) -> dict[str, int]:
    """How many connections each limit of this machine allows, with both ends on it."""
    limits: dict[str, int] = {"net.ipv4 (ports × addresses of 127.0.0.0/8)": (room.ports or 65_536) * 1_000}
    if room.open_files is not None:
        limits["open files (ulimit -Hn) × processes"] = (room.open_files - OWN_FILES) * MOST_PROCESSES
    opened, _, most = (int(word) for word in Path("/proc/sys/fs/file-nr").read_text().split())
    limits["fs.file-max"] = (most - opened) // 2
    if room.memory_bytes is not None:
        limits["memory"] = room.memory_bytes // (BYTES_PER_CONNECTION + SERVER_BYTES)
    return limits


def trial_of(connections: int, addresses: int | None = None) -> Trial:
    """The load: all held, and 200 requests a second through them.

    Args:
        connections: how many.
        addresses: to come from; none: as many as are best.
    """
    load = Load(
        kind="hold",
        connections=connections,
        rate=Rate.parse("200/s"),
        warmup=Duration.parse("1 s"),
        window=Duration.parse("5 s"),
        timeout=Duration.parse("5 min"),  # from the intended connect: a machine that falls behind fails none for it
        sources=tuple(f"127.0.0.{number + 1}" for number in range(addresses or 0)),
    )
    return Trial(load=load)


def hold(connections: int, plan: ClientPlan, room: Room) -> Held:
    """Hold them, and let go."""
    each = (room.open_files or 1 << 20) - OWN_FILES
    loops = max(2, -(-connections // each))
    cores = divide_cores(available_cores(), 1)
    model = Model("reactor", {"variant": "main-sub", "loops_in": "processes", "loops": loops})
    with serving(model, cores.server[0], open_files=each + OWN_FILES) as server:
        idle = _memory(server)
        report, held, full = _load(server, connections, plan, cores.client)
        counted = server.stop()
    return Held(report, held, counted.connections or 0, (full - idle) / connections)


def _load(server: Running, connections: int, plan: ClientPlan, cores: Sequence[int]) -> tuple[ClientReport, int, int]:
    """The client's report, connections open on its plateau, and the server's memory then."""
    reached = Reached(
        url=f"http://127.0.0.1:{server.port}/", proving_requests=0, expected=(Expected(200, 128),), trust=None
    )
    part = PlacedClient("client", "local", (), plan, connections)
    config = client_config(reached, trial_of(connections), part=part, everyone=plan.processes, plateau_s=60.0)
    config = config.model_copy(update={"connect_rate_per_s": CONNECTS_PER_S, "wait_for_start": False})
    with tempfile.TemporaryDirectory(prefix="ceiling-bench-") as name:
        folder = Path(name)
        (folder / "out").mkdir()
        (folder / "config.json").write_text(config.model_dump_json())
        (folder / "connect.json").write_text("{}")
        limited = ["prlimit", f"--nofile={plan.open_files}", "taskset", "-c", ",".join(map(str, cores))]
        with subprocess.Popen(
            [*limited, sys.executable, "main.py", name],
            cwd=IMAGES / "client",
            env={**os.environ, "PYTHONPATH": str(IMAGES)},
            stdout=subprocess.PIPE,
            text=True,
        ) as client:
            try:
                last = _until_drained(client)
                full = _memory(server)
                (folder / "release.json").write_text("{}")
                client.communicate(timeout=DEADLINE_S)
            finally:
                client.kill()
        report = ClientReport.model_validate_json((folder / "out" / "client.json").read_bytes())
    return report, int(last["connections"]), full


def _until_drained(client: "subprocess.Popen[str]") -> Mapping[str, Any]:
    """Read its events to the end of the load; the last tick.

    Raises:
        RuntimeError: it could not run, or took too long.
    """
    assert client.stdout is not None
    last: Mapping[str, Any] = {"connections": 0}
    deadline_s = time.monotonic() + DEADLINE_S
    for line in client.stdout:
        event = json.loads(line)
        if event["event"] == "error":
            raise RuntimeError(event["message"])
        if event["event"] == "tick":
            last = event
        if event["event"] == "drained":
            return last
        if time.monotonic() > deadline_s:
            break
    raise RuntimeError("the client did not come to its end")


def _memory(server: Running) -> int:
    """Memory of the server's processes: what is shared among them is divided (PSS)."""
    first = psutil.Process(server.pid)
    return sum(process.memory_full_info().pss for process in (first, *first.children(recursive=True)))


def main(arguments: Sequence[str] = ()) -> int:
    """Run it and print what was held; 0 the bars hold, 1 they do not."""
    parser = argparse.ArgumentParser(description="Connections held over several client processes.")
    parser.add_argument("--connections", type=int, default=ASKED)
    parser.add_argument("--addresses", type=int, help="source addresses (default: as many as are best)")
    options = parser.parse_args(arguments)
    wanted = options.connections
    room = room_of_this_host()
    knob, allowed = min(walls(room).items(), key=lambda wall: wall[1])
    connections = min(wanted, allowed)
    if connections < wanted:
        say(f"{wanted:,} asked, {connections:,} tried: {knob} allows no more")
    plan = plan_client(trial_of(connections, options.addresses), room)
    begun_s = time.monotonic()
    held = hold(connections, plan, room)
    return 0 if _told(connections, plan, held, time.monotonic() - begun_s) else 1


def _told(asked: int, plan: ClientPlan, held: Held, took_s: float) -> bool:
    """Print it; whether the bars hold."""
    report, addresses = held.report, max(len(plan.sources), 1)
    each = [process.bytes_per_connection for process in report.processes if process.bytes_per_connection is not None]
    own = "not known" if not each else f"{sum(each) / len(each):,.0f} ({min(each):,.0f} to {max(each):,.0f})"
    say(
        f"{asked:,} asked of {plan.processes} client processes ({plan.open_files:,} open files each) from {addresses} addresses;"
        f" {held.server_connections:,} counted by the server, {held.served:,} answered, {held.held:,} held at the end; {took_s:.0f} s"
    )
    say(
        f"errors of the stream: {report.errors or 'none'}; bytes a connection, client: {own}; server: {held.server_bytes:,.0f}"
    )
    lacking = asked - min(held.served, held.held)
    if lacking:
        say(
            f"{lacking:,} were not: {report.connect_missing:,} connects and {report.first_byte_missing:,} first answers missing"
        )
    return min(held.served, held.held) >= ENOUGH * asked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
