"""What servers cost, from the prices of the inventory and from which hosts a trial ran on.

Hosts that ran a server, or the balancer, are paid for; those of the clients are the measurement's, not the service's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.clusters import Curve, Size
from harness.analysis.study import Study
from harness.result import HostUse
from harness.spec.inventory import Inventory

SECONDS_PER_HOUR = 3_600


@dataclass(frozen=True)
class Costs:
    """Of any number of servers, placed as in the largest trial that was measured."""

    currency: str
    servers_per_host: int
    host_per_hour: float  # mean of the hosts that ran servers
    beside_per_hour: float  # of the balancer's host, where no server runs on it

    def per_hour(self, servers: int) -> float:
        """Whole hosts are paid for."""
        return math.ceil(servers / self.servers_per_host) * self.host_per_hour + self.beside_per_hour


def per_million(per_hour: float, rate_rps: float) -> float:
    """Cost of a million requests at a rate."""
    return per_hour / (rate_rps * SECONDS_PER_HOUR) * 1e6


def hour_of(study: Study, size: Size) -> float | None:
    """What the hosts of a measured number of servers cost an hour, mean over its runs; None where a price is not known."""
    found = [_per_hour(study.run.inventory, row.result.hosts) for row in size.rows if row.result is not None]
    known = [value for value in found if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(found) else None


def costs_of(study: Study, curve: Curve) -> Costs | None:
    """From the largest number of servers that has a value; None where a price is not known."""
    inventory = study.run.inventory
    if inventory is None or not curve.measured:
        return None
    results = [row.result for row in curve.measured[-1].rows if row.result is not None]
    if not results or _per_hour(inventory, results[0].hosts) is None:
        return None
    hosts = results[0].hosts
    serving = {name: _servers_on(use) for name, use in hosts.items() if _servers_on(use)}
    beside = [name for name, use in hosts.items() if name not in serving and "balancer" in use.services]
    prices = _prices(inventory, [*serving, *beside])
    if not serving or prices is None:
        return None
    mean = math.fsum(prices[: len(serving)]) / len(serving)
    return Costs(inventory.currency, max(serving.values()), mean, math.fsum(prices[len(serving) :]))


def _per_hour(inventory: Inventory | None, hosts: dict[str, HostUse]) -> float | None:
    paid = [name for name, use in hosts.items() if _servers_on(use) or "balancer" in use.services]
    prices = _prices(inventory, paid) if inventory is not None and paid else None
    return None if prices is None else math.fsum(prices)


def _servers_on(use: HostUse) -> int:
    return sum(name == "server" or name.startswith("server-") for name in use.services)


def _prices(inventory: Inventory, names: Sequence[str]) -> list[float] | None:
    """One by one; None as soon as one is not known."""
    hosts = [inventory.hosts.get(name) for name in names]
    prices = [host.price_per_hour if host is not None else None for host in hosts]
    known = [price for price in prices if price is not None]
    return known if len(known) == len(names) else None
