"""Asking a host something: a command that has to go well."""

from collections.abc import Sequence

from harness.errors import HostError
from harness.hosts.connection import Connection, Done

NO_SUCH_COMMAND = 127


def ask(connection: Connection, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> str:
    """What a command prints.

    Args:
        connection: to the host.
        argv: the command and its arguments.
        timeout_s: for all of it.
        stdin: what it is given to read.

    Raises:
        HostError: the host cannot be reached, or the command is not there, or it ended with another status than 0.
    """
    done = connection.run(argv, timeout_s=timeout_s, stdin=stdin)
    if done.status == NO_SUCH_COMMAND:
        raise HostError(missing(connection.name, argv[0]))
    return went_well(connection.name, argv, done)


def went_well(name: str, argv: Sequence[str], done: Done) -> str:
    """What a command printed that has ended with 0.

    Args:
        name: of its host.
        argv: the command and its arguments.
        done: what came of it.

    Raises:
        HostError: it ended with another status; with its last line.
    """
    if done.status != 0:
        raise HostError(f"{name}: `{argv[0]}` ended with status {done.status}: {last_line(done.stderr)}")
    return done.stdout


def last_line(text: str) -> str:
    """The last line that says something, at most 300 characters."""
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no word on why")
    return last[:300]


def missing(name: str, command: str) -> str:
    """A host lacks what every prepared host has."""
    return f"{name}: there is no `{command}`; run `harness hosts prepare` for this inventory"
