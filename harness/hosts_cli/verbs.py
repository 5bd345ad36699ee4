"""`harness hosts trust`, `check` and `facts`."""

import json
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import EXIT_CANNOT_RUN, EXIT_DONE, HostError, SpecError
from harness.hosts_cli.inventories import InventoryArgument, app, open_inventory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.hosts.ssh import SshConnection


@app.command()
def trust(
    inventory: InventoryArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Add new keys without asking.")] = False,
    replace: Annotated[
        list[str] | None,
        typer.Option("--replace", metavar="HOST", help="Take this host's new key in place of the one it had."),
    ] = None,
) -> None:
    """Show the host keys of all hosts, and add those that are new to the inventory's known hosts."""
    from harness.hosts.trusting import keys_shown, trust_keys
    from harness.hosts_cli.trust import Trust

    loaded, connections = open_inventory(inventory)
    _check_names(replace or [], loaded.hosts)
    ways = [connection.way for connection in connections.values()]
    asking = Trust(ways[0].trust_command, frozenset(replace or []), yes=yes)
    level = 0
    while shown := keys_shown(ways, level):  # a jump host first: what is behind it shows its key through it
        trust_keys(ways[0].known_hosts, asking.chosen(shown))
        level += 1
    if asking.trouble:
        raise HostError("\n".join(asking.trouble))


@app.command()
def check(inventory: InventoryArgument) -> None:
    """Check all hosts: reachable, Docker, room, clock, walls, what faults have left. Exit code 3: not all can be used."""
    from harness.hosts.checking import check_hosts
    from harness.hosts_cli.tables import print_checked
    from harness.timed_faults import left_over_trouble

    loaded, connections = open_inventory(inventory)
    with _closing(connections):
        checked = check_hosts(connections, loaded.hosts, left_over_trouble)
    print_checked(checked, loaded)
    raise typer.Exit(EXIT_CANNOT_RUN if any(one.trouble for one in checked) else EXIT_DONE)


@app.command()
def facts(
    inventory: InventoryArgument,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Print what every host is and is set to: what a run would keep in its environment.json."""
    from harness.hosts.facts_afar import facts_of_all
    from harness.spec.document import as_yaml

    _, connections = open_inventory(inventory)
    with _closing(connections):
        told, trouble = facts_of_all(connections)
    typer.echo(json.dumps(told) if as_json else as_yaml(told), nl=as_json)
    if trouble:
        raise HostError("\n".join(trouble))


def _closing(connections: "Mapping[str, SshConnection]") -> ExitStack:
    stack = ExitStack()
    for connection in connections.values():
        stack.enter_context(closing(connection))
    return stack


def _check_names(names: list[str], hosts: "Mapping[str, object]") -> None:
    from harness.spec.problems import did_you_mean, listed

    wrong = [name for name in names if name not in hosts]
    if wrong:
        fixes = [did_you_mean(name, hosts, f"there are: {listed(hosts)}") for name in wrong]
        raise SpecError(
            [f"--replace {name}: no host of the inventory; {fix}" for name, fix in zip(wrong, fixes, strict=True)]
        )
