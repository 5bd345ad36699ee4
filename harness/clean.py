"""`harness clean`: removes what runs have left behind, on this machine or on the hosts of an inventory, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.errors import HarnessError, RuntimeUnavailable
from harness.hosts.connection import Connection
from harness.images import connect
from harness.runtime.base import make_owner, owner_is_dead
from harness.runtime.docker.cleaning import KINDS, Ours, find_ours, remove_ours
from harness.runtime.docker.over_ssh import connect_over
from harness.runtime.workplace import discard_folder, service_folders
from harness.stage import Places
from harness.timed_faults import remove_left_over

if TYPE_CHECKING:
    import docker

HERE = "this machine"
PROCESS = "process"  # a service of the process runtime, with its folder
COLUMNS = (*KINDS, PROCESS)

EngineOf = Callable[[], "docker.DockerClient"]


@dataclass(frozen=True)
class Wanted:
    """What is to be cleaned."""

    everything: bool = False  # also what belongs to runs that are, or may be, live
    images: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Cleaned:
    """What came of one host."""

    host: str
    removed: Mapping[str, Sequence[str]]  # names by kind; with a dry run: what would be removed
    left: Sequence[str] = ()  # what was left alone, and why
    note: str = ""  # why there was nothing to clean with
    failed: Sequence[str] = ()  # what could not be done, and why


def clean_here(places: Places, wanted: Wanted) -> Cleaned:
    """Clean this machine: its engine, and what dead runs left of plain processes.

    An engine that is not there, or may not be reached, holds nothing of this user's; that is said, and no failure.
    """
    removed, left, failed = _clean_processes(places, wanted)
    try:
        engine = clean_engine(HERE, connect, wanted)
    except RuntimeUnavailable as error:
        return Cleaned(HERE, removed, left, f"no engine: {error}", failed)
    return Cleaned(HERE, {**engine.removed, **removed}, (*engine.left, *left), "", (*engine.failed, *failed))


def clean_inventory(connections: Mapping[str, Connection], wanted: Wanted) -> list[Cleaned]:
    """Clean hosts that are reached from afar, and let go of them; see `clean_hosts`."""
    try:
        cleaned = clean_hosts(
            {name: partial(connect_over, connection.transport, name) for name, connection in connections.items()},
            wanted,
        )
        with ThreadPoolExecutor(max(1, len(cleaned))) as pool:
            return list(pool.map(lambda one: _made_whole(one, connections[one.host], wanted), cleaned))
    finally:
        for connection in connections.values():
            connection.close()


def _made_whole(cleaned: Cleaned, connection: Connection, wanted: Wanted) -> Cleaned:
    """The same host without what a fault of its network has left; where nobody live may still mean it."""
    if cleaned.failed or (cleaned.left and not wanted.everything):
        return cleaned
    try:
        found = remove_left_over(cleaned.host, connection.run, dry_run=wanted.dry_run)
    except HarnessError as error:
        return replace(cleaned, failed=(*cleaned.failed, str(error)))
    verb = "would remove" if wanted.dry_run else "removed"
    return replace(cleaned, note=f"{verb} {', '.join(found)}") if found else cleaned


def clean_hosts(engines: Mapping[str, EngineOf], wanted: Wanted) -> list[Cleaned]:
    """Clean hosts side by side; one that cannot be reached does not stop the others.

    Args:
        engines: by host, how its engine is reached.
        wanted: what is to be cleaned.
    """

    def one(host: str) -> Cleaned:
        try:
            return clean_engine(host, engines[host], wanted)
        except HarnessError as error:
            return Cleaned(host, {}, failed=(str(error),))

    with ThreadPoolExecutor(max(1, len(engines))) as pool:
        return list(pool.map(one, engines))


def clean_engine(host: str, engine: EngineOf, wanted: Wanted) -> Cleaned:
    """Clean one engine.

    Raises:
        HarnessError: it cannot be reached, or does not answer.
    """
    with closing(engine()) as client:
        found = find_ours(client, images=wanted.images)
        going, left = chosen(found, everything=wanted.everything)
        failed = {} if wanted.dry_run else remove_ours(client, going)
    gone = [ours for ours in going if f"{ours.kind} {ours.name}" not in failed]
    removed: dict[str, Sequence[str]] = {kind: [ours.name for ours in gone if ours.kind == kind] for kind in KINDS}
    return Cleaned(host, removed, left, failed=[f"{name} is left: {why}" for name, why in failed.items()])


def chosen(found: Sequence[Ours], *, everything: bool) -> tuple[list[Ours], list[str]]:
    """What goes, and what is left alone with the reason. Pure."""
    going = [ours for ours in found if everything or not ours.kept]
    return going, [f"{ours.kind} {ours.name}: {ours.kept}" for ours in found if ours.kept and not everything]


def show(cleaned: Sequence[Cleaned], wanted: Wanted, console: Console | None = None) -> None:
    """A table of what was removed, a host a row, and below it what was left alone or went wrong."""
    console = console or Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("would remove" if wanted.dry_run else "removed")
    for kind in COLUMNS:
        table.add_column(_plural(kind), justify="right")
    for one in cleaned:
        table.add_row(escape(one.host), *(str(len(one.removed.get(kind, ()))) for kind in COLUMNS))
    console.print(table)
    for one in cleaned:
        told = [f"{kind} {name}" for kind in COLUMNS for name in one.removed.get(kind, ())] if wanted.dry_run else []
        told += [f"left alone: {line}" for line in one.left]
        told += [one.note] if one.note else []
        told += one.failed
        for line in told:
            console.print(escape(line if line.startswith(f"{one.host}: ") else f"{one.host}: {line}"), soft_wrap=True)


def _plural(kind: str) -> str:
    return f"{kind}es" if kind.endswith("s") else f"{kind}s"


def _clean_processes(places: Places, wanted: Wanted) -> tuple[dict[str, Sequence[str]], list[str], list[str]]:
    """Services of dead runs: all their processes, found by their mark, and their folders."""
    me = make_owner("")
    removed: list[str] = []
    left: list[str] = []
    failed: list[str] = []
    for folder, labels in service_folders(places.state / "work"):
        if not wanted.everything and not owner_is_dead(labels):
            run = labels.get("ceiling.run") or "?"
            whose = f"process {labels.get('ceiling.pid')} of {labels.get('ceiling.host')}"
            here = labels.get("ceiling.host") == me.host
            left.append(f"{PROCESS} {folder.name}: run {run} {'is' if here else 'may be'} live ({whose})")
            continue
        try:
            if not wanted.dry_run:
                discard_folder(folder)
            removed.append(folder.name)
        except HarnessError as error:
            failed.append(f"{PROCESS} {folder.name}: {error}")
    return {PROCESS: removed}, left, failed
