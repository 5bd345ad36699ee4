"""The sub-command itself, and how its verbs come from a word to hosts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.hosts.ssh import SshConnection
    from harness.spec.inventory import Inventory

app = typer.Typer(help="Look after the hosts of an inventory.", no_args_is_help=True)

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"

InventoryArgument = Annotated[
    str, typer.Argument(metavar="INVENTORY", help="Name of a file of experiments/hosts/, without .yaml; or a path.")
]


def open_inventory(word: str) -> "tuple[Inventory, dict[str, SshConnection]]":
    """An inventory by a person's word for it, and a connection to each of its hosts, not opened yet.

    Raises:
        SpecError: there is none of that name, or it is wrong.
    """
    from harness.hosts.ssh import connect_all
    from harness.spec.inventories import find_inventory, inventory_name, load_inventory

    path = find_inventory(word, EXPERIMENTS)
    inventory = load_inventory(path)
    return inventory, connect_all(inventory, path.parent, word=inventory_name(path, EXPERIMENTS))
