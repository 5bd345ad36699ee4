"""From a trial that is placed to what its faults act on."""

from collections.abc import Sequence

from harness.deploy import Deployed
from harness.fleet import Fleet, Site
from harness.placement import Placement
from harness.spec.cluster import FaultAction, TimedFault
from harness.spec.fault_rules import OF_THE_NETWORK
from harness.timed_faults.target import FaultHost, FaultTarget, Run, run_here

OF_HOSTS: tuple[FaultAction, ...] = ("kill-host", "freeze-host", *OF_THE_NETWORK)
"""Faults of the whole host that a server is on, and of all others on it."""


def fault_hosts(placement: Placement, fleet: Fleet) -> list[FaultHost]:
    """The host of each server.

    Args:
        placement: of the trial.
        fleet: every host.
    """
    return [_host(fleet[placed.host], placement, fleet) for placed in placement.servers]


def fault_targets(hosts: Sequence[FaultHost], servers: Sequence[Deployed]) -> list[FaultTarget]:
    """The servers that run, each on its host.

    Args:
        hosts: `fault_hosts`.
        servers: in the same order.
    """
    return [
        FaultTarget(**vars(host), service=server.service, url=server.url, dial=server.dial)
        for host, server in zip(hosts, servers, strict=True)
    ]


def servers_hit(faults: Sequence[TimedFault], placement: Placement, among: Sequence[FaultAction] = ()) -> set[str]:
    """Names of the servers that faults touch; of a whole host, all on it.

    Args:
        faults: of the trial.
        placement: of the trial.
        among: only faults that do one of these; none: all.
    """
    found: set[str] = set()
    for fault in faults:
        hit = placement.servers[fault.server - 1]
        if not among or fault.do in among:
            found |= {one.name for one in placement.servers if one is hit or _both(fault.do, one.host, hit.host)}
    return found


def hosts_killed(faults: Sequence[TimedFault], placement: Placement) -> set[str]:
    """Hosts that are killed in a trial: whatever ran there, its probe among it, is gone."""
    return {placement.servers[fault.server - 1].host for fault in faults if fault.do == "kill-host"}


def _both(do: FaultAction, host: str, other: str) -> bool:
    return do in OF_HOSTS and host == other


def _host(site: Site, placement: Placement, fleet: Fleet) -> FaultHost:
    sending = [placement.balancer.host] if placement.balancer is not None else [one.host for one in placement.clients]
    return FaultHost(
        host=site.name,
        here=site.here,
        run=_run_on(site),
        power=site.power,
        peers=tuple(dict.fromkeys(fleet[name].address for name in sending if name != site.name)),
        also=tuple(dict.fromkeys(_others_on(site.name, placement))),
        as_root=site.runtime.name == "docker",
    )


def _others_on(host: str, placement: Placement) -> list[str]:
    balancer = placement.balancer is not None and placement.balancer.host == host
    return [
        *(["the balancer"] if balancer else []),
        *("a load client" for one in placement.clients if one.host == host),
    ]


def _run_on(site: Site) -> Run:
    return run_here if site.connection is None else site.connection.run
