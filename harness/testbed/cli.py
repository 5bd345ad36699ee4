"""`harness testbed up` and `harness testbed down`."""

from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[2]

app = typer.Typer(help="SSH + Docker hosts on this machine, to try runs over several hosts on.", no_args_is_help=True)

NameOption = Annotated[
    str, typer.Option("--name", help="testbed, or testbed-NAME for a further one; the inventory is called so, too.")
]


@app.command()
def up(
    hosts: Annotated[int, typer.Option("--hosts", help="How many hosts, 1 to 16.")] = 3,
    name: NameOption = "testbed",
) -> None:
    """Make the hosts, and experiments/hosts/NAME.yaml; one that is up already is checked."""
    from harness.images import connect
    from harness.stage import Places
    from harness.terminal import Display
    from harness.testbed.make import Workshop
    from harness.testbed.make import up as make
    from harness.testbed.site import Site

    places, say = Places.under(ROOT), Display().say
    made = make(
        connect(), Site.of_checkout(ROOT, places.state, name), hosts, Workshop(places.images, places.state), say
    )
    say(made.title)
    say(f"inventory: {_shown(made.inventory)}; run over it: make experiment NAME=… HOSTS={name}")


@app.command()
def down(name: NameOption = "testbed") -> None:
    """Remove the hosts, their disks and network, the inventory and the keys."""
    from harness.images import connect
    from harness.stage import Places
    from harness.terminal import Display
    from harness.testbed.make import down as remove
    from harness.testbed.site import Site

    state, say = Places.under(ROOT).state, Display().say
    if not remove(connect(), Site.of_checkout(ROOT, state, name), state, say):
        say(f"there is no {name}")


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
