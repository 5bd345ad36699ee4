"""The inventory of a testbed, as a file that a person can read."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.spec.document import as_yaml
from harness.spec.inventory import Inventory, InventoryHost, Power
from harness.testbed import power
from harness.testbed.keys import KEY, KNOWN_HOSTS
from harness.testbed.layout import Layout, TestHost
from harness.testbed.site import MARK, Site

MACHINE = "this one"
"""All hosts of a testbed have the CPUs of one machine."""


def inventory_of(site: Site, layout: Layout, addresses: Mapping[str, str]) -> Inventory:
    """The record: paths relative to the inventory's own folder.

    Args:
        site: whose it is.
        layout: its hosts.
        addresses: theirs, by name.
    """
    keys = os.path.relpath(site.keys, site.inventory.parent)
    return Inventory(
        version=1,
        title=layout.title,
        known_hosts=f"{keys}/{KNOWN_HOSTS}",
        hosts={host.name: _host(site, host, addresses[host.name], f"{keys}/{KEY}") for host in layout.hosts},
    )


def _host(site: Site, host: TestHost, address: str, key: str) -> InventoryHost:
    # The interpreter that runs now: it is there whatever the working folder and PATH of whoever pulls the switch.
    switch = (sys.executable, "-IS", str(Path(power.__file__).resolve()))
    thing = site.thing(host.name)
    return InventoryHost(
        address=address,
        data=address,
        roles=host.roles,
        user="root",
        port=22,
        key=key,
        jump=None,
        cores=",".join(map(str, host.cores)),
        machine=MACHINE,
        labels={"container": thing},
        price_per_hour=None,
        power=Power(**{action: (*switch, action, thing) for action in power.ACTIONS}),
    )


def write_inventory(site: Site, inventory: Inventory) -> None:
    """The commit point of `up`: whole or not at all."""
    site.inventory.parent.mkdir(parents=True, exist_ok=True)
    content = inventory.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    fresh = site.inventory.with_suffix(".new")
    fresh.write_text(f"{MARK}\n{as_yaml(content)}")
    fresh.replace(site.inventory)
