"""`harness hosts prepare`."""

from typing import Annotated

import typer

from harness.errors import EXIT_CANNOT_RUN, EXIT_DONE
from harness.hosts_cli.inventories import InventoryArgument, app, open_inventory


@app.command()
def prepare(
    inventory: InventoryArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print every step, and change nothing.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was changed before.")] = False,
) -> None:
    """Take bare Debian or Ubuntu hosts to ready: Docker, limits, settings of the kernel. Only what is missing is done."""
    from harness.hosts.prepare import prepare_hosts

    _, connections = open_inventory(inventory)
    try:
        failed = prepare_hosts(list(connections.values()), typer.echo, dry_run=dry_run, undo=undo)
    finally:
        for connection in connections.values():
            connection.close()
    for error in failed.values():
        typer.echo(str(error), err=True)
    raise typer.Exit(EXIT_CANNOT_RUN if failed else EXIT_DONE)
