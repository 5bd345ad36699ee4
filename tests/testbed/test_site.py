"""Names and files of a testbed, and what is never written over."""

import re
from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.spec.document import read_document
from harness.spec.inventory import Inventory
from harness.spec.problems import Problems
from harness.testbed.inventory import inventory_of, write_inventory
from harness.testbed.keys import make_key, write_keys
from harness.testbed.layout import lay_out
from harness.testbed.site import Site


def site_under(root: Path) -> Site:
    return Site.of_checkout(root, root / ".ceiling")


def write_one(site: Site) -> Inventory:
    layout = lay_out(3, range(2))
    addresses = {host.name: f"10.213.1.{number}" for number, host in enumerate(layout.hosts, 11)}
    inventory = inventory_of(site, layout, addresses)
    write_inventory(site, inventory)
    return inventory


@pytest.mark.parametrize("name", ["", "prod", "testbeds", "testbed-", "testbed/../x", "testbed-X", "testbed-a-b-c"])
def test_a_name_that_could_be_a_persons_inventory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="a testbed is called testbed or testbed-NAME"):
        Site.of_checkout(tmp_path, tmp_path, name)


def test_an_inventory_that_a_person_wrote_is_never_touched(tmp_path: Path) -> None:
    site = site_under(tmp_path)
    site.inventory.parent.mkdir(parents=True)
    site.inventory.write_text("version: 1\n")
    with pytest.raises(SpecError, match="not of a testbed; rename it"):
        site.require_own_inventory()


def test_its_hosts_are_told_to_have_the_cpus_of_one_machine(tmp_path: Path) -> None:
    machines = {host.machine for host in write_one(site_under(tmp_path)).hosts.values()}
    assert len(machines) == 1
    assert None not in machines


def test_one_that_a_testbed_wrote_is_its_own(tmp_path: Path) -> None:
    site = site_under(tmp_path)
    write_one(site)
    site.require_own_inventory()


def test_the_inventorys_paths_lead_from_its_folder_to_the_keys(tmp_path: Path) -> None:
    site = site_under(tmp_path)
    inventory = write_one(site)
    write_keys(site.keys, make_key(), {"10.213.1.11": make_key()})
    folder = site.inventory.parent
    key = inventory.hosts["host-1"].key
    assert key == "../../.ceiling/testbed/key"
    assert (folder / key).samefile(site.keys / "key")
    assert (folder / inventory.known_hosts).samefile(site.keys / "known_hosts")


def test_the_file_reads_back_as_the_inventory_that_was_written(tmp_path: Path) -> None:
    site = site_under(tmp_path)
    inventory = write_one(site)
    content = read_document(site.inventory, Problems(str(site.inventory)), "an inventory").plain()
    assert Inventory.model_validate(content, strict=False) == inventory


def test_the_private_key_is_its_owners_only(tmp_path: Path) -> None:
    write_keys(tmp_path / "keys", make_key(), {})
    assert oct((tmp_path / "keys").stat().st_mode & 0o777) == "0o700"
    assert oct((tmp_path / "keys" / "key").stat().st_mode & 0o777) == "0o600"


def test_every_key_is_a_new_one() -> None:
    assert re.fullmatch(r"ssh-ed25519 [A-Za-z0-9+/=]+", make_key().public)
    assert make_key().public != make_key().public
