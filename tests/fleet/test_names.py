"""Names that stand beside those of an inventory's hosts, and the addresses that names stand for."""

from pathlib import Path

import pytest

from harness.afar import data_address
from harness.errors import HostError, SpecError
from harness.hosts.ssh.connection import SshConnection
from harness.spec.inventories import load_inventory
from harness.stage import OWN_ENGINE

INVENTORY = "version: 1\ntitle: one host\nhosts: {{{name!r}: {{address: 10.0.0.7}}}}\n"


def test_no_host_can_have_the_name_of_the_controllers_engine(tmp_path: Path) -> None:
    path = tmp_path / "hosts.yaml"
    path.write_text(INVENTORY.format(name="local"))
    assert list(load_inventory(path).hosts) == ["local"]
    path.write_text(INVENTORY.format(name=OWN_ENGINE))
    with pytest.raises(SpecError, match="no host's name"):
        load_inventory(path)


@pytest.mark.parametrize(
    ("host_name", "told"),
    [("fe80::1%lo", "fe80::1 is an address that is reached with a scope only"), ("0.0.0.0", "stands for any")],
)
def test_a_name_that_stands_for_no_address_of_one_host_needs_a_data_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host_name: str, told: str
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(f"Host near\n HostName {host_name}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "hosts.yaml").write_text("version: 1\ntitle: one host\nhosts: {one: {address: near}}\n")
    host = load_inventory(tmp_path / "hosts.yaml").hosts["one"]
    with pytest.raises(HostError, match=told):
        data_address("one", host, SshConnection("one", host, tmp_path, tmp_path / "known_hosts"))
