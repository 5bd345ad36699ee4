"""What a person sees of hosts that were checked."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.hosts.checking import Checked
from harness.spec.inventory import Inventory

COLUMNS = ("host", "roles", "Docker", "arch", "CPUs", "memory", "free disk", "clock ahead by", "")
UNKNOWN = "–"
WIDE = 240  # characters


def print_checked(checked: Sequence[Checked], inventory: Inventory) -> None:
    """One table, then a line for each trouble and each wall."""
    console = wide_console()
    table = whole_table(COLUMNS)
    for one in checked:
        table.add_row(*_row(one, ", ".join(inventory.hosts[one.name].roles)))
    console.print(table)
    for one in checked:
        for what in one.trouble:
            console.print(f"[red]{escape(what)}[/red]", soft_wrap=True)
    for line in _walls(checked):
        console.print(escape(line), soft_wrap=True)


def wide_console() -> Console:
    """Standard output; into a pipe or a file, lines as long as they are."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDE)


def whole_table(columns: Sequence[str]) -> Table:
    """A table that breaks what does not fit, and cuts nothing off: half a fingerprint proves nothing."""
    return Table(*(Column(name, overflow="fold") for name in columns), box=None, pad_edge=False)


def _row(one: Checked, roles: str) -> list[str]:
    state = "[red]not usable[/red]" if one.trouble else "[green]ready[/green]"
    remote = one.remote
    if remote is None:
        return [escape(one.name), roles, *[UNKNOWN] * 6, state]
    free = remote.engine.free_bytes if remote.engine else None
    return [
        escape(one.name),
        roles,
        escape(one.engine_version or UNKNOWN),
        escape(remote.architecture),
        str(len(remote.cpus)),
        _size(remote.facts["memory"]["total_bytes"]),
        _size(free),
        UNKNOWN if one.clock is None else f"{one.clock.offset_ns / 1e9:+.6f} s ± {one.clock.error_ns / 1e3:.0f} µs",
        state,
    ]


def _size(size_bytes: int | None) -> str:
    return UNKNOWN if size_bytes is None else f"{size_bytes / 1e9:.1f} GB"


def _walls(checked: Sequence[Checked]) -> list[str]:
    """Each wall once, with all the hosts that have it."""
    hosts: dict[str, list[str]] = {}
    for one in checked:
        for wall in one.walls:
            said = f"{wall.name} is {wall.have}, large experiments need {wall.need}; {wall.remedy}"
            hosts.setdefault(said, []).append(one.name)
    return [f"{', '.join(names)}: {said}" for said, names in hosts.items()]
