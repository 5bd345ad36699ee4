"""What the probes of several hosts saw, put together: whose usage is judged, on which cores, and what is kept of each host."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.fleet import HERE, Look, Site, fleet_of
from harness.hosts.connection import ClockOffset
from harness.hosts.room import Room
from harness.judging.checks.placement import apart, quiet
from harness.judging.evidence import Sharing
from harness.measure import Job, Take
from harness.placement import Machine, place
from harness.raw import ClientReport, NetworkLook, ProbeReport, Sample
from harness.readings import cpu_share
from harness.runtime.base import make_owner
from harness.runtime.process import ProcessRuntime
from harness.seen import client_shares, evidence_of, host_uses, looked_at
from harness.spec.experiment import Trial
from harness.spec.inventory import HostRole
from tests.run.records import client_report, server_report

ROOT = Path(__file__).resolve().parents[2]
AHEAD_NS = 7_000_000_000_000  # of the second server host's clock, before the controller's
ROLES: dict[str, HostRole] = {"c1": "client", "c2": "client", "s1": "server", "s2": "server", "b": "balancer"}
START_NS, END_NS = 1_000_000_000, 3_000_000_000


def clock(host: str) -> ClockOffset:
    return ClockOffset(AHEAD_NS, 1_000) if host == "s2" else ClockOffset()


def job(tmp_path: Path, **changes: Any) -> Job:
    """Three servers on two hosts, a balancer on a third, and clients on two more."""
    fields = {"servers": 3, "balancer": "haproxy-tcp", "clients": 2, "load": {"connections": 10, "window": "2 s"}}
    trial = Trial.model_validate({**fields, **changes})
    room = Room(open_files=10_000, ports=28_000, memory_bytes=1 << 40)
    runtime = ProcessRuntime(make_owner("test-seen"), ROOT / "images", tmp_path)
    machines = [Machine(host, (0, 1, 2, 3), room, (role,)) for host, role in ROLES.items()]
    fleet = fleet_of([Site(machine, runtime, clock(machine.name)) for machine in machines])
    return Job("t", trial, fleet, place(trial, machines), exact=True, on_tick=lambda _tick: None)


def sample(at_ns: int, cpu_s: float, **changes: Any) -> Sample:
    fields: dict[str, Any] = {name: None for name, field in Sample.model_fields.items() if field.is_required()}
    fields |= {
        "at_ns": at_ns,
        "cpu_user_s": cpu_s,
        "cpu_system_s": 0.0,
        "processes": 1,
        "threads": 4,
        "minor_faults": 0,
    }
    fields |= dict.fromkeys(("voluntary_switches", "involuntary_switches", "major_faults"), 0)
    fields |= dict.fromkeys(("child_voluntary_switches", "child_involuntary_switches"), 0)
    return Sample(**{**fields, **changes})


def probe(host: str, busy: dict[str, float], services: dict[str, float]) -> ProbeReport:
    """What it saw in a window of 2 s: CPU seconds of sides and services."""
    start_ns, end_ns = (clock(host).on_host(edge_ns) for edge_ns in (START_NS, END_NS))
    sides = {f"{side}_{what}_s": 0.0 for side in busy for what in ("busy", "steal")}
    ends = {**sides, **{f"{side}_busy_s": used_s for side, used_s in busy.items()}}
    return ProbeReport(
        samples={},
        edges={name: (sample(start_ns, 0.0), sample(end_ns, used_s)) for name, used_s in services.items()},
        host=({"at_ns": start_ns, **sides}, {"at_ns": end_ns, **ends}),
    )


def drops(at: ClockOffset, dropped: int) -> tuple[NetworkLook, ...]:
    """Of a namespace in which so many connections were dropped in the window."""
    none = {name: 0 for name, field in NetworkLook.model_fields.items() if field.is_required()}
    ends = ((START_NS, 100), (END_NS, 100 + dropped))
    return tuple(
        NetworkLook(**{**none, "at_ns": at.on_host(edge_ns), "listen_drops": count}) for edge_ns, count in ends
    )


def share(**changes: Any) -> ClientReport:
    return client_report(histograms={"response": {4_000: 2_000}}, **changes)


def take(**changes: Any) -> Take:
    """s1 has two servers (0.2 and 0.3 CPU each second), s2 one with 0.9 of its core."""
    probes = {
        "c1": probe("c1", {"client": 1.0}, {}),
        "c2": probe("c2", {"client": 2.0}, {}),
        "s1": probe("s1", {"server": 1.2, "client": 8.0}, {"server-1": 0.4, "server-3": 0.6}),
        "s2": probe("s2", {"server": 1.85, "client": 0.0}, {"server-2": 1.8}),
        "b": probe("b", {"client": 4.0}, {"balancer": 0.8}),  # on the CPUs that a client would have
    }
    reports = {f"server-{number}": server_report() for number in (1, 2, 3)}
    fields: dict[str, Any] = {"client": share(), "shares": [share(), share()], "servers": reports, "probes": probes}
    return Take(**{**fields, **changes})


def test_every_server_and_the_balancer_have_their_usage_and_each_side_its_busiest_cores(tmp_path: Path) -> None:
    usage, cores = looked_at(job(tmp_path), take())
    assert {name: cpu_share(used) for name, used in usage.items() if name != "client"} == pytest.approx(
        {"server-1": 0.2, "server-2": 0.9, "server-3": 0.3, "balancer": 0.4}
    )
    assert {side: load.busy for side, load in cores.items()} == {"server": 0.925, "client": 0.25, "balancer": 0.5}


def test_judged_are_the_servers_of_the_host_whose_cores_were_busiest_as_one(tmp_path: Path) -> None:
    placed, brought = job(tmp_path), take()
    made = evidence_of(placed, brought, None, *looked_at(placed, brought))
    assert made.usage is not None
    assert cpu_share(made.usage) == pytest.approx(0.9)
    assert made.usage.cores == 1
    assert (list(made.each), made.fullest_server) == (["server-1", "server-2", "server-3"], "server-2")
    assert made.server is not None
    assert made.server.requests == 3 * 3_001
    assert len(made.shares) == 2

    brought.probes["s1"] = probe("s1", {"server": 3.9, "client": 0.0}, {"server-1": 0.4, "server-3": 0.6})
    made = evidence_of(placed, brought, None, *looked_at(placed, brought))
    assert made.usage is not None
    assert cpu_share(made.usage) == pytest.approx(0.5)
    assert made.usage.cores == 2
    assert made.server_cores is not None
    assert made.server_cores.busy == 0.975


def containers_of_one_machine(tmp_path: Path, **changes: Any) -> Job:
    """The same services, the hosts of the servers being containers on one CPU of one machine."""
    placed = job(tmp_path, handler={"backend": {"delay": "40 ms"}}, **changes)
    sites = {
        host: replace(site, machine=replace(site.machine, cpus=(3,)), shares="one") if host in ("s1", "s2") else site
        for host, site in placed.fleet.items()
    }
    return replace(placed, fleet=sites, placement=place(placed.trial, [site.machine for site in sites.values()]))


def seen_on_one_cpu(backend_s: float) -> Take:
    """Of 2 s of CPU 3, servers 1 and 3 used 0.4 s, server 2 used 0.6 s, and each host's backend its part."""
    busy = {"server": 1.0 + 2 * backend_s, "client": 0.0}
    return take(
        probes={
            **take().probes,
            "s1": probe("s1", busy, {"server-1": 0.2, "server-3": 0.2, "backend": backend_s}),
            "s2": probe("s2", busy, {"server-2": 0.6, "backend": backend_s}),
        }
    )


def test_servers_of_hosts_that_are_the_same_cpus_are_judged_together_and_are_no_strangers(tmp_path: Path) -> None:
    placed = containers_of_one_machine(tmp_path)
    brought = seen_on_one_cpu(backend_s=0.06)
    made = evidence_of(placed, brought, None, *looked_at(placed, brought))
    assert made.usage is not None
    assert cpu_share(made.usage) == pytest.approx(0.5)
    assert made.usage.cores == 1
    assert made.sharing.backend_on_servers == pytest.approx(0.06)
    assert quiet(made).detail == "others took 0% of the server's cores"
    assert quiet(made).passed
    assert apart(made).passed
    assert apart(made).detail.endswith("; the backend took 6% of the server's")


def test_a_backend_that_takes_much_of_the_servers_cores_is_told_by_its_name(tmp_path: Path) -> None:
    placed = containers_of_one_machine(tmp_path)
    brought = seen_on_one_cpu(backend_s=0.3)
    made = evidence_of(placed, brought, None, *looked_at(placed, brought))
    assert quiet(made).passed
    assert apart(made).passed is False
    assert "the backend took 30% of the server's" in apart(made).detail


def test_hosts_of_machines_of_their_own_are_not_taken_together_for_having_cpus_of_one_number(tmp_path: Path) -> None:
    placed = containers_of_one_machine(tmp_path)
    apart_from = {host: replace(site, shares=f"of {host}") for host, site in placed.fleet.items()}
    brought = seen_on_one_cpu(backend_s=0.06)
    made = evidence_of(replace(placed, fleet=apart_from), brought, None, *looked_at(placed, brought))
    assert made.usage is not None
    assert cpu_share(made.usage) < 0.4
    assert quiet(made).passed is False


def test_counts_that_one_server_did_not_leave_are_not_taken_for_all(tmp_path: Path) -> None:
    placed, brought = job(tmp_path), take(servers={"server-1": server_report()})
    assert evidence_of(placed, brought, None, *looked_at(placed, brought)).server is None


def test_each_clients_part_is_kept_where_there_are_several(tmp_path: Path) -> None:
    late = share(errors={"reset": 2, "timeout": 1}, begun_ns=share().start_ns + 3_000)
    brought = take(shares=[share(), late])
    first, second = client_shares(job(tmp_path), brought)
    assert (first.host, first.connections, second.host, second.connections) == ("c1", 5, "c2", 5)
    assert (first.errors, second.errors) == (0, 3)
    assert (first.start_late_ns, second.start_late_ns) == (None, 3_000)  # the first is a report of before
    assert first.percentiles_us["p50"] == first.percentiles_us["p99"] is not None
    assert client_shares(job(tmp_path), take(shares=[share()])) == ()


def test_each_host_is_kept_with_what_ran_there_and_how_well_its_clock_was_known(tmp_path: Path) -> None:
    placed = job(tmp_path)
    before = {host: Look(f"boot-{host}", clock(host)) for host in placed.placement.hosts}
    after = {"s2": Look("boot-s2", ClockOffset(AHEAD_NS + 5, 1_000))}
    uses = host_uses(placed, replace(take(), looks=after), before)
    assert {host: use.services for host, use in uses.items()} == {
        "c1": ("client-1",),
        "c2": ("client-2",),
        "s1": ("server-1", "server-3"),
        "s2": ("server-2",),
        "b": ("balancer",),
    }
    second = uses["s2"]
    assert (second.boot_id, second.clock_offset_ns, second.clock_error_ns, second.clock_moved_ns) == (
        "boot-s2",
        AHEAD_NS,
        1_000,
        5,
    )
    assert (uses["s1"].clock_moved_ns, uses["s1"].cores["server"].busy) == (None, 0.3)


def test_this_machine_alone_is_no_host_of_an_inventory(tmp_path: Path) -> None:
    room = Room(open_files=10_000, ports=28_000, memory_bytes=1 << 40)
    machine = Machine(HERE, (0, 1), room)
    fleet = fleet_of([Site(machine, ProcessRuntime(make_owner("test-seen"), ROOT / "images", tmp_path))])
    alone = Job("t", Trial(), fleet, place(Trial(), [machine]), exact=True, on_tick=lambda _tick: None)
    assert host_uses(alone, Take(), {}) == {}


def test_equal_numbers_of_cpus_on_machines_of_their_own_are_not_the_same_cpu(tmp_path: Path) -> None:
    """Of c1 every CPU is the client's, and s1 has servers on two of the same numbers."""
    placed, brought = job(tmp_path), take()
    made = evidence_of(placed, brought, None, *looked_at(placed, brought))
    assert apart(made).passed
    assert made.sharing == Sharing()

    one = {host: replace(site, shares="one") for host, site in placed.fleet.items()}
    made = evidence_of(replace(placed, fleet=one), brought, None, *looked_at(placed, brought))
    assert apart(made).passed is False
    assert made.sharing.client_and_balancer


def test_drops_of_a_server_that_was_not_the_busiest_are_seen(tmp_path: Path) -> None:
    """Servers 1 and 3 dropped connections on s1, and the CPUs of s2 were busier."""
    placed, brought = job(tmp_path), take()
    brought.probes["s1"] = brought.probes["s1"].model_copy(
        update={"network": {name: drops(clock("s1"), 7) for name in ("server-1", "server-3")}}
    )
    brought.probes["s2"] = brought.probes["s2"].model_copy(update={"network": {"server-2": drops(clock("s2"), 2)}})
    made = evidence_of(placed, brought, None, *looked_at(placed, brought))
    assert made.network is not None
    assert made.network.listen_drops == 7 + 2  # servers of one host have its namespace in common
