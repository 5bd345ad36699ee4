"""The probe: watches the services of one host (docs/contract/README.md, "The probe").

`main.py DIR` reads DIR/config.json, samples until SIGTERM or its deadline, and writes DIR/out/probe.json. Once DIR/window.json
is there it knows the window's edges, and takes a look at each by itself; the servers that are to mark them are sent a signal.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from probe.cgroups import cgroup_of
from probe.files import Gone
from probe.host import host_sample
from probe.marked import Marked
from probe.network import Look, Network
from probe.processes import Table
from probe.service import CgroupScope, Service, TreeScope
from probe.window import BadWindowError, Edges

PROC = "/proc"
# A process in the way of what it measures: the interval grows where a sample is dear, so that sampling stays below
# this share of one core however many processes there are.
LARGEST_SHARE = 0.01
EDGE = signal.SIGUSR1  # asks for an edge now
WEIGH = signal.SIGUSR2
END = (signal.SIGTERM, signal.SIGINT)
SIGNALS = (EDGE, WEIGH, *END)


class Probe:
    """All services, the host, and its own network namespace where that is one of a service that it is not shown."""

    def __init__(
        self,
        targets: dict[str, dict[str, Any]],
        watched_cpus: dict[str, list[int]],
        own_network: str | None = None,
    ) -> None:
        self._watched_cpus = watched_cpus
        marked = {name: target.pop("mark", False) for name, target in targets.items()}
        self._services = {name: _watch(**target) for name, target in targets.items()}
        self._marked = [Marked(target["pid"]) for name, target in targets.items() if marked[name]]
        self._live = [service for service in self._services.values() if service is not None]
        self._host: list[dict[str, int | float]] = []
        self._own_network = own_network
        self._own = Network(PROC, "self", None)
        self._own_looks: list[Look] = []

    def sample(self) -> None:
        """A regular look at everything."""
        self._look(lambda service, table: service.sample(table))
        self._look_at_networks()

    def edge(self) -> None:
        """A whole look at everything, kept apart, and a mark of each server that keeps counts."""
        for server in self._marked:
            server.mark()
        self._look(lambda service, table: service.edge(table))
        self._look_at_networks()

    def weigh(self) -> None:
        """A look at the services' memory, kept apart too."""
        self._look(lambda service, table: service.weigh(table))

    def _look(self, take: Callable[[Service, Table], None]) -> None:
        table = Table(PROC)
        for service in tuple(self._live):
            try:
                take(service, table)
            except Gone:
                self._live.remove(service)
        self._host.append(host_sample(PROC, self._watched_cpus))

    def _look_at_networks(self) -> None:
        seen: dict[object, Look] = {}
        for service in self._live:
            service.look_at_network(seen)
        if self._own_network is not None and (look := self._own.look(seen)) is not None:
            self._own_looks.append(look)

    def report(self) -> dict[str, Any]:
        """As the contract says."""
        named = self._services.items()
        return {
            "format": 1,
            "samples": {name: service.samples if service else [] for name, service in named},
            "edges": {name: service.edges if service else [] for name, service in named},
            "memory": {name: service.memory if service else [] for name, service in named},
            "network": self._networks(),
            "host": self._host,
        }

    def _networks(self) -> dict[str, list[Look]]:
        found = {name: service.network for name, service in self._services.items() if service and service.network}
        return found if self._own_network is None else found | {self._own_network: self._own_looks}


def _watch(pid: int, cgroup: bool, port: int | None = None) -> Service | None:
    """A service; None where it has ended already."""
    try:
        return Service(pid, CgroupScope(cgroup_of(pid)) if cgroup else TreeScope(), port, PROC)
    except Gone:
        return None


def watch(probe: Probe, edges: Edges, interval_s: float, deadline: float) -> None:
    """Sample until the end: on time, at the edges, and at once when a signal asks."""
    next_at = time.monotonic()
    while (now := time.monotonic()) < deadline:
        told = signal.sigtimedwait(SIGNALS, max(0.0, min(next_at, edges.next_look(), deadline) - now))
        asked = told.si_signo if told is not None else None
        taken = edges.due() + (asked == EDGE)
        for _ in range(taken):
            probe.edge()
            say({"event": "edge", "at_ns": time.monotonic_ns()})
        if not taken and asked is None and time.monotonic() >= next_at:
            used = time.process_time()
            probe.sample()
            cost_s = time.process_time() - used
            next_at = max(next_at + interval_s, time.monotonic() + cost_s / LARGEST_SHARE)
        if asked in END:
            return
        if asked == WEIGH:
            probe.weigh()
            say({"event": "memory", "at_ns": time.monotonic_ns()})


def say(event: dict[str, Any]) -> None:
    """One line of JSON on standard output."""
    print(json.dumps(event), flush=True)  # noqa: T201 - the contract's channel


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """Leave the report under its name when it is whole."""
    temporary = folder / ".probe.json.tmp"
    temporary.write_text(json.dumps(report))
    temporary.replace(folder / "probe.json")


def main(folder: Path) -> int:
    """Run, and return the exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # from now on they wait for sigtimedwait, and none is lost
    started = time.monotonic()
    config = json.loads((folder / "config.json").read_text())
    try:
        probe = Probe(config["services"], config["watched_cpus"], config.get("own_network"))
        say({"event": "ready"})
        watch(probe, Edges(folder / "window.json"), config["interval_s"], started + config["deadline_s"])
    except (LookupError, PermissionError, BadWindowError) as error:
        say({"event": "error", "message": str(error)})
        return 1
    write_report(folder / "out", probe.report())
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(Path(sys.argv[1])))
