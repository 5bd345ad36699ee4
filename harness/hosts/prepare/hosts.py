"""Preparing hosts side by side, and taking it back."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.errors import HostError
from harness.hosts.connection import Connection
from harness.hosts.prepare.apply import Say, apply_plan, forget, undo_plan
from harness.hosts.prepare.look import look
from harness.hosts.prepare.plan import plan_for
from harness.hosts.prepare.steps import Plan
from harness.hosts.prepare.undo import plan_undo


def prepare_hosts(
    connections: Sequence[Connection], say: Say, *, dry_run: bool = False, undo: bool = False
) -> dict[str, HostError]:
    """Prepare every host, or take it back; one that fails does not stop the others.

    Args:
        connections: to the hosts, one each.
        say: told what is done, each line with its host in front; called by one thread at a time.
        dry_run: tell, and change nothing.
        undo: take back what was changed before.

    Returns:
        What came in the way, by host; nothing where all went well.
    """
    lock = threading.Lock()
    act = take_back if undo else prepare
    failed: dict[str, HostError] = {}

    def one(connection: Connection) -> None:
        def tell(line: str) -> None:
            with lock:
                say(f"{connection.name}: {line}")

        try:
            act(connection, tell, dry_run=dry_run)
        except HostError as error:
            failed[connection.name] = error

    with ThreadPoolExecutor(max(1, len(connections))) as pool:
        list(pool.map(one, connections))
    return {connection.name: failed[connection.name] for connection in connections if connection.name in failed}


def prepare(connection: Connection, say: Say, *, dry_run: bool = False) -> None:
    """Look at a host, plan, and carry the plan out; then look again whether it is ready.

    Raises:
        HostError: it cannot be prepared, or a step failed.
    """
    host = look(connection)
    plan = plan_for(host)
    prepared = host.prepared
    if dry_run:
        _show(plan, say)
    else:
        apply_plan(connection, plan, prepared, say)
    for note in plan.notes:
        say(f"note: {note}")
    if not plan.steps:
        say("ready: nothing to do")
    elif not dry_run:
        connection.close()  # groups and limits count from the next login on
        _assert_ready(connection)
        say("ready")


def take_back(connection: Connection, say: Say, *, dry_run: bool = False) -> None:
    """Take back what was changed on a host, as far as its record says.

    Raises:
        HostError: it cannot be reached, or a step failed.
    """
    host = look(connection)
    prepared = host.prepared
    plan = plan_undo(host, prepared)
    if dry_run:
        _show(plan, say)
    else:
        undo_plan(connection, plan, prepared, say)
        forget(connection)
    for note in plan.notes:
        say(f"note: {note}")
    if not prepared.changes:
        say("nothing to take back")
    elif not dry_run:
        say("as it was")


def _assert_ready(connection: Connection) -> None:
    """A plan that leaves something to do has not understood the host."""
    left = plan_for(look(connection)).steps
    if left:
        raise HostError(
            f"{connection.name}: every step went well, and there is still to do: {'; '.join(step.what for step in left)};"
            " look at the host, and prepare again"
        )


def _show(plan: Plan, say: Callable[[str], None]) -> None:
    for step in plan.steps:
        say(f"would {step.what}: {step.why}")
        for command in step.commands:
            say(f"    {command}")
        for line in step.content.splitlines():
            say(f"    | {line}")
        if step.undo:
            say(f"    undo: {step.undo}")
