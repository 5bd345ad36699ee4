"""What faults of the network have left on a host whose controller was killed, or cut off, before it could undo them."""

import re

from harness.errors import HostError
from harness.hosts.ask import last_line
from harness.timed_faults import network
from harness.timed_faults.target import Run

DEADLINE_S = 15.0
_TOOLS = ("iptables", "ip6tables")
_OURS = re.compile(rf"^qdisc prio {network.HANDLE} dev (\S+) root\b")

# One round trip. Each line that has one of our marks, the tool that told it in front. No table is named: asked for one, the older
# iptables makes it where there is none, and a look changes nothing.
_LOOK = """
for tool in iptables ip6tables; do "$tool-save" | sed -n "/$1/s/^/$tool /p"; done
tc qdisc show | sed -n "/$2/s/^/tc /p"
"""
_LOOK_COMMAND = ("sh", "-c", _LOOK, "look", network.COMMENT, network.HANDLE)


def left_over(run: Run) -> list[tuple[str, tuple[str, ...], bytes]]:
    """What of ours is there: what it is, the command that takes it away, and what that is given to read.

    A host without these tools, or where we may not be root, has nothing of ours.

    Raises:
        HostError: it cannot be reached.
    """
    told = [line.partition(" ") for line in run(_LOOK_COMMAND, timeout_s=DEADLINE_S, as_root=True).stdout.splitlines()]
    found: list[tuple[str, tuple[str, ...], bytes]] = []
    for tool in _TOOLS:
        changes = network.ours_removed("\n".join(line for by, _, line in told if by == tool))
        if changes is not None:
            found.append((f"{tool} rules of a fault", network.restore_command(tool), changes))
    shown = [_OURS.match(line) for by, _, line in told if by == "tc"]
    found += [(f"netem of a fault on {one[1]}", network.restored(one[1]), b"") for one in shown if one is not None]
    return found


def left_over_trouble(run: Run) -> list[str]:
    """Why a host with something of ours cannot be measured on, and what to do; at most one line.

    Raises:
        HostError: it cannot be reached.
    """
    there = ", ".join(what for what, _, _ in left_over(run))
    if not there:
        return []
    return [
        f"its network is disturbed: {there}, of a run that was killed, or of one that goes on; run `harness clean` for this inventory"
    ]


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
