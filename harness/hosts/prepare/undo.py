"""What takes back what `prepare` changed on a host, as steps. Pure."""

from collections.abc import Callable
from typing import Any

from harness.hosts.prepare.look import HostState
from harness.hosts.prepare.record import (
    Change,
    EngineChange,
    FileChange,
    GroupChange,
    PackagesChange,
    Prepared,
    SysctlChange,
)
from harness.hosts.prepare.steps import Command, Plan, Step, remove_file, set_sysctl, write_file
from harness.hosts.prepare.targets import FILES, UNIT_FILES

Undone = Step | str | None  # a step, or what is told instead; None: it is as it was


def plan_undo(host: HostState, prepared: Prepared) -> Plan:
    """The way back, the last change first. What somebody else has changed since is left, and told.

    Args:
        host: as it is.
        prepared: what was changed on it.
    """
    undone = [_UNDO[type(change)](host, change) for change in reversed(prepared.changes)]
    return Plan(
        tuple(entry for entry in undone if isinstance(entry, Step)),
        tuple(entry for entry in undone if isinstance(entry, str)),
    )


def _file(host: HostState, change: FileChange) -> Undone:
    now = host.files.get(change.path)
    if change.path not in FILES or (now is not None and now != change.after):
        return f"{change.path} was changed since: left as it is; remove it by hand"
    if now is None:
        return None
    why = "as it was before"
    reload = (Command(("systemctl", "daemon-reload")),) if change.path in UNIT_FILES.values() else ()
    if change.before is None:
        return Step(f"remove {change.path}", why, (remove_file(change.path), *reload), change=change)
    back = (write_file(change.path, change.before), *reload)
    return Step(f"write back {change.path}", why, back, change=change, content=change.before)


def _sysctl(host: HostState, change: SysctlChange) -> Undone:
    found = host.sysctls.get(change.name)
    if found is None or found.text == change.before:
        return None
    if found.text != change.after:
        return f"{change.name} was changed since to {found.text}: left as it is; it was {change.before}"
    back = (set_sysctl(change.name, change.before),)
    return Step(f"set {change.name} back to {change.before}", "as it was before", back, change=change)


def _group(host: HostState, change: GroupChange) -> Undone:
    if host.user == change.user and change.group not in host.groups:
        return None
    leave = (Command(("gpasswd", "-d", change.user, change.group)),)
    return Step(f"take {change.user} out of the group {change.group}", "as it was before", leave, change=change)


def _packages(_: HostState, change: PackagesChange) -> Undone:
    return f"installed packages stay; this removes them: apt-get purge --autoremove {' '.join(change.names)}"


def _engine(_: HostState, change: EngineChange) -> Undone:
    return f"the engine that was started stays; this stops it: {change.stop}"


_UNDO: dict[type[Change], Callable[[HostState, Any], Undone]] = {
    FileChange: _file,
    SysctlChange: _sysctl,
    GroupChange: _group,
    PackagesChange: _packages,
    EngineChange: _engine,
}
