"""What servers cost, from the prices of the inventory and from which hosts a trial ran on.

Hosts that ran a server, or the balancer, are paid for; those of the clients are the measurement's, not the service's. A number
of servers that was not measured is priced as it would have been placed (harness/placement.py): in turn on the hosts for
servers, which are never filled more than in the fullest trial; beyond that, on more hosts at their mean price.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.clusters import Curve, Size
from harness.analysis.study import Study
from harness.result import HostUse
from harness.spec.inventory import HostRole, Inventory

SECONDS_PER_HOUR = 3_600


@dataclass(frozen=True)
class Price:
    """Of a number of servers."""

    per_hour: float
    more_hosts: int = 0  # than the inventory has, at the mean price of its hosts for servers


@dataclass(frozen=True)
class Costs:
    """Of any number of servers on the hosts of a run."""

    inventory: Inventory
    hours: dict[int, float | None]  # of the numbers of servers that were measured, ascending
    balanced: frozenset[int]  # those of them that had a balancer
    servers_per_host: int  # on the fullest host of all trials

    @property
    def currency(self) -> str:
        """Of all prices."""
        return self.inventory.currency

    def of(self, servers: int) -> Price | None:
        """Whole hosts are paid for; None where the price of one is not known."""
        if servers in self.hours:
            hour = self.hours[servers]
            return None if hour is None else Price(hour)
        serving = _with_role(self.inventory, "server")
        on_these = min(servers, self.servers_per_host * len(serving))
        more = math.ceil((servers - on_these) / self.servers_per_host)
        paid = serving[:on_these]
        if self._has_balancer(servers):
            paid = list(dict.fromkeys([*paid, *_with_role(self.inventory, "balancer")[:1]]))
        prices, like = _prices(self.inventory, paid), _prices(self.inventory, serving)
        if prices is None or (more and like is None):
            return None
        return Price(math.fsum(prices) + (more * math.fsum(like) / len(like) if more and like else 0.0), more)

    def _has_balancer(self, servers: int) -> bool:
        """As the next larger number that was measured, or the largest."""
        return next((size for size in self.hours if size > servers), max(self.hours)) in self.balanced


def per_million(per_hour: float, rate_rps: float) -> float:
    """Cost of a million requests at a rate."""
    return per_hour / (rate_rps * SECONDS_PER_HOUR) * 1e6


def hour_of(study: Study, size: Size) -> float | None:
    """What the hosts of a measured number of servers cost an hour, mean over its runs; None where a price is not known."""
    found = [_per_hour(study.run.inventory, hosts) for hosts in _hosts(size)]
    known = [value for value in found if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(found) else None


def costs_of(study: Study, curve: Curve) -> Costs | None:
    """From the numbers of servers that have a value; None where the price of none is known."""
    hours = {size.servers: hour_of(study, size) for size in curve.measured}
    if study.run.inventory is None or all(hour is None for hour in hours.values()):
        return None
    uses = [use for size in curve.measured for hosts in _hosts(size) for use in hosts.values()]
    return Costs(
        inventory=study.run.inventory,
        hours=hours,
        balanced=frozenset(size.servers for size in curve.measured if size.point.rows[0].planned.trial.balanced),
        servers_per_host=max(map(_servers_on, uses)),
    )


def _hosts(size: Size) -> list[dict[str, HostUse]]:
    return [row.result.hosts for row in size.rows if row.result is not None]


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


def _with_role(inventory: Inventory, role: HostRole) -> list[str]:
    return [name for name, host in inventory.hosts.items() if role in host.roles]
