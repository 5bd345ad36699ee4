"""What faults of the network have left on a host whose controller was killed before it could undo them."""

import re

from harness.errors import HostError
from harness.hosts.ask import last_line
from harness.timed_faults import network
from harness.timed_faults.target import Run

DEADLINE_S = 15.0
_OURS = re.compile(rf"^qdisc prio {network.HANDLE} dev (\S+) root\b", re.MULTILINE)


def left_over(run: Run) -> list[tuple[str, tuple[str, ...], bytes]]:
    """What of ours is there: what it is, the command that takes it away, and what that is given to read.

    A host without these tools has nothing of ours.

    Raises:
        HostError: it cannot be reached.
    """
    found: list[tuple[str, tuple[str, ...], bytes]] = []
    for tool in ("iptables", "ip6tables"):
        saved = run((f"{tool}-save", "-t", "filter"), timeout_s=DEADLINE_S, as_root=True)
        if saved.status == 0 and (changes := network.ours_removed(saved.stdout)) is not None:
            found.append((f"{tool} rules of a fault", network.restore_command(tool), changes))
    shown = run(("tc", "qdisc", "show"), timeout_s=DEADLINE_S)
    devices = _OURS.findall(shown.stdout) if shown.status == 0 else []
    found += [(f"netem of a fault on {device}", network.restored(device), b"") for device in devices]
    return found


def remove_left_over(host: str, run: Run, *, dry_run: bool) -> list[str]:
    """Take away what faults have left.

    Args:
        host: its name.
        run: runs a command there.
        dry_run: only say what there is.

    Returns:
        What was taken away, or would be.

    Raises:
        HostError: it cannot be reached, or something does not go.
    """
    found = left_over(run)
    for what, command, stdin in () if dry_run else found:
        done = run(command, timeout_s=DEADLINE_S, stdin=stdin, as_root=True)
        if done.status != 0:
            raise HostError(f"{host}: {what} could not be taken away: {last_line(done.stderr)}")
    return [what for what, _, _ in found]
