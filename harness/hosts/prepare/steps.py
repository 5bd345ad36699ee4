"""What a plan is made of: a step says what it does, why, with which commands, and how it is undone."""

import shlex
from dataclasses import dataclass, field

from harness.hosts.prepare.record import Change

QUICK_S = 30.0

# Written beside it first: a file of the system is there whole, or as it was.
_WRITE = 'umask 022; mkdir -p "$(dirname "$1")" && cat > "$1.new" && mv "$1.new" "$1"'
_SET = 'printf "%s\\n" "$2" > "$1"'


@dataclass(frozen=True)
class Command:
    """One command of root's; no word of it is interpreted by a shell, but for the harness's own constant scripts."""

    argv: tuple[str, ...]
    timeout_s: float = QUICK_S
    stdin: bytes = b""
    says: str = ""  # for people; nothing: the command itself

    def __str__(self) -> str:
        return self.says or shlex.join(self.argv)


@dataclass(frozen=True)
class Step:
    """One change of a host."""

    what: str
    why: str
    commands: tuple[Command, ...]
    undo: str = ""
    change: Change | None = None  # what is recorded of it, before it is made
    content: str = ""  # of the file that it writes


@dataclass(frozen=True)
class Plan:
    """What is to be done to a host, and what is told instead."""

    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = field(default=())


def write_file(path: str, content: str) -> Command:
    """Put a file there, readable by everyone."""
    return Command(("sh", "-c", _WRITE, "sh", path), stdin=content.encode(), says=f"write {path}")


def remove_file(path: str) -> Command:
    """Remove a file, which may be gone."""
    return Command(("rm", "-f", path))


def set_sysctl(name: str, value: str) -> Command:
    """Change a setting of the running kernel; a minimal Debian has no sysctl(8)."""
    return Command(
        ("sh", "-c", _SET, "sh", f"/proc/sys/{name.replace('.', '/')}", value), says=f"sysctl -w {name}='{value}'"
    )
