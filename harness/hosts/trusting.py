"""Which host keys an inventory's hosts show, beside those that are trusted: what `harness hosts trust` asks about."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from paramiko import PKey

from harness.errors import HostError
from harness.hosts.deadline import Deadline
from harness.hosts.known_hosts import add_keys, entry_name, read_known_hosts, remove_keys
from harness.hosts.ssh.opening import CONNECT_S, fetch_key
from harness.hosts.ssh.way import Way, hops_of


@dataclass(frozen=True)
class Shown:
    """The key that a host, or a jump host, shows."""

    names: tuple[str, ...]  # of the inventory's hosts that are reached at it, or through it
    jump: bool
    entry: str  # its name in the file of known keys
    key: PKey
    known: tuple[PKey, ...]  # what the file has of it

    @property
    def trusted(self) -> bool:
        """It is in the file."""
        return self.key in self.known

    @property
    def changed(self) -> bool:
        """The file has another one."""
        return bool(self.known) and not self.trusted


def keys_shown(ways: Sequence[Way], level: int) -> list[Shown | HostError]:
    """What every host or jump host shows that is so many steps away; all at the same time.

    Args:
        ways: to the hosts of one inventory.
        level: 0: those that are reached directly; 1: those behind one jump host; … Those before have to be trusted.

    Returns:
        A key, or why there is none, for each; nothing where no host is so far away.
    """
    by_entry: dict[str, list[Way]] = {}
    for way in ways:
        hops = hops_of(way)
        if level < len(hops):
            connection = hops[level].connection
            by_entry.setdefault(entry_name(str(connection.host), int(connection.port)), []).append(way)

    def ask(entry: str) -> Shown | HostError:
        try:
            return _shown(entry, by_entry[entry], level)
        except HostError as error:
            return error

    with ThreadPoolExecutor(max(1, len(by_entry))) as pool:
        return list(pool.map(ask, by_entry))


def trust_keys(known_hosts: Path, shown: Iterable[Shown]) -> None:
    """Write keys into the file, each in place of those that it had of that host.

    Raises:
        HostError: the file cannot be written.
    """
    added = list(shown)
    for one in added:
        if one.changed:
            remove_keys(known_hosts, one.entry)
    add_keys(known_hosts, [(one.entry, one.key) for one in added])


def _shown(entry: str, ways: Sequence[Way], level: int) -> Shown:
    stored: Mapping[str, PKey] = read_known_hosts(ways[0].known_hosts).lookup(entry) or {}
    key = fetch_key(ways[0], level, list(stored), Deadline.after(CONNECT_S))
    jump = hops_of(ways[0])[level].jump
    return Shown(tuple(way.name for way in ways), jump, entry, key, tuple(stored.values()))
