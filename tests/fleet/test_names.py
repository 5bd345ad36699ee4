"""Names that stand beside those of an inventory's hosts."""

from pathlib import Path

import pytest

from harness.errors import SpecError
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
