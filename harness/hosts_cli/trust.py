"""The talk with a person about host keys."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import typer
from rich.markup import escape
from rich.table import Table

from harness.errors import HostError
from harness.hosts.trusting import Shown
from harness.hosts_cli.tables import whole_table, wide_console


@dataclass
class Trust:
    """Shows keys, asks about the new ones, and keeps what stands in the way."""

    command: str  # that a person would give again
    replaced: frozenset[str]  # hosts whose changed key is to be taken
    yes: bool  # do not ask
    trouble: list[str] = field(default_factory=list)

    def chosen(self, shown: Iterable[Shown | HostError]) -> list[Shown]:
        """Those that are to be trusted from now on.

        Raises:
            HostError: the person says no.
        """
        keys = []
        for one in shown:
            if isinstance(one, Shown):
                keys.append(one)
            else:
                self.trouble.append(str(one))
        if keys:
            wide_console().print(_table(keys))
        wanted = [one for one in keys if not one.known or (one.changed and self._replaces(one))]
        self.trouble += [self._refusal(one) for one in keys if one.changed and one not in wanted]
        if wanted and not self.yes and not self._agreed(len(wanted)):
            raise HostError("no key was added; compare the fingerprints with those that the hosts' consoles print")
        return wanted

    def _replaces(self, one: Shown) -> bool:
        return not self.replaced.isdisjoint(one.names)

    def _refusal(self, one: Shown) -> str:
        known = ", ".join(f"{key.get_name()} {key.fingerprint}" for key in one.known)
        return (
            f"{_whose(one)}: shows ANOTHER HOST KEY than the known one: {one.key.get_name()} {one.key.fingerprint} instead"
            f" of {known}; the host was made anew, or somebody stands in between."
            f" If you know why: `{self.command} --replace {one.names[0]}`"
        )

    def _agreed(self, number: int) -> bool:
        what = "this key" if number == 1 else f"these {number} keys"
        try:
            return typer.confirm(f"Are {what} right, and to be trusted?", err=True)
        except typer.Abort:  # nobody there to answer
            return False


def _whose(one: Shown) -> str:
    names = ", ".join(one.names)
    return f"jump host of {names}" if one.jump else names


def _table(keys: Iterable[Shown]) -> Table:
    table = whole_table(("host", "at", "key", "fingerprint", ""))
    for one in keys:
        state = "trusted" if one.trusted else "[red]CHANGED[/red]" if one.changed else "[yellow]new[/yellow]"
        table.add_row(escape(_whose(one)), escape(one.entry), one.key.get_name(), one.key.fingerprint, state)
    return table
