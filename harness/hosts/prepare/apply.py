"""Carrying out a plan, step by step; what is done is recorded on the host, so that it can be taken back."""

from collections.abc import Callable

from harness.errors import HostError
from harness.hosts.connection import Connection, Done
from harness.hosts.prepare.record import PATH, Prepared
from harness.hosts.prepare.steps import QUICK_S, Command, Plan, Step, remove_file, write_file

Say = Callable[[str], None]

_FORGET = 'rm -f "$1"; folder=$(dirname "$1"); [ ! -d "$folder" ] || [ -n "$(ls -A "$folder")" ] || rmdir "$folder"'


def apply_plan(connection: Connection, plan: Plan, prepared: Prepared, say: Say) -> None:
    """Make every change. Each is recorded before it is made: broken off at any line, it can be undone.

    Args:
        connection: to the host.
        plan: what is to be done.
        prepared: what was changed before.
        say: told of each step as it begins.

    Raises:
        HostError: a step failed; those before it are done and recorded.
    """
    for number, step in enumerate(plan.steps, 1):
        say(f"{number}/{len(plan.steps)} {step.what}")
        if step.change is not None:
            prepared = prepared.with_change(step.change)
            _keep(connection, prepared)
        _carry_out(connection, step)


def undo_plan(connection: Connection, plan: Plan, prepared: Prepared, say: Say) -> None:
    """Take every change back, and forget it once it is.

    Raises:
        HostError: a step failed; those before it are taken back, the rest stays recorded.
    """
    for number, step in enumerate(plan.steps, 1):
        say(f"{number}/{len(plan.steps)} {step.what}")
        _carry_out(connection, step)
        if step.change is not None:
            prepared = prepared.without(step.change)
            _keep(connection, prepared)


def forget(connection: Connection) -> None:
    """Remove the record, with what needed no step, and its folder where nothing else is in it.

    Raises:
        HostError: it cannot be removed.
    """
    _run(connection, Command(("sh", "-c", _FORGET, "sh", PATH)), f"remove {PATH}")


def _keep(connection: Connection, prepared: Prepared) -> None:
    command = write_file(PATH, prepared.to_json().decode()) if prepared.changes else remove_file(PATH)
    _run(connection, command, f"keep {PATH}")


def _carry_out(connection: Connection, step: Step) -> None:
    for command in step.commands:
        _run(connection, command, step.what)


def _run(connection: Connection, command: Command, what: str) -> None:
    timeout_s = max(command.timeout_s, QUICK_S)
    done = connection.run(command.argv, timeout_s=timeout_s, stdin=command.stdin, as_root=True)
    if done.status:
        raise HostError(
            f"{connection.name}: {what}: `{command}` ended with status {done.status}: {_last_line(done)};"
            " mend that and prepare again: it goes on from here"
        )


def _last_line(done: Done) -> str:
    lines = [line.strip() for text in (done.stderr, done.stdout) for line in reversed(text.splitlines())]
    return next((line for line in lines if line), "no output")
