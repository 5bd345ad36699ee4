"""A worker of a server: one of the processes that its main process has made, killed or stopped by a signal."""

from typing import Literal

from harness.timed_faults.target import FaultTarget, asked

DEADLINE_S = 10.0

# The words of the script are fixed; process id and signal are its arguments. One round trip, so that the process that is
# found is still the one that is meant. The children of every thread count: any of them may have forked.
_SIGNAL_TO_LOWEST = """
lowest=
for pid in $(cat /proc/"$1"/task/*/children); do
  if [ -z "$lowest" ] || [ "$pid" -lt "$lowest" ]; then lowest=$pid; fi
done
if [ -z "$lowest" ]; then echo "process $1 has no child process" >&2; exit 3; fi
kill -s "$2" "$lowest" && echo "$lowest"
"""
_SIGNAL = 'kill -s "$2" "$1"'

CHILDREN_ARE_TOLD = ("sh", "-c", "cat /proc/$$/task/$$/children")
"""Ends with 0 where the kernel tells a process's children (CONFIG_PROC_CHILDREN)."""


def signal_worker(target: FaultTarget, signal: Literal["KILL", "STOP"]) -> int:
    """Send a signal to the worker with the lowest process id: the one made first, as long as ids do not wrap.

    Returns:
        Its process id, as its host sees it.

    Raises:
        HostError: the server has no child process, or the host could not be asked.
    """
    command = ("sh", "-c", _SIGNAL_TO_LOWEST, "worker", str(target.service.main_pid), signal)
    return int(asked(target, command, DEADLINE_S, as_root=target.as_root))


def thaw_worker(target: FaultTarget, pid: int) -> None:
    """Let a stopped worker go on.

    Raises:
        HostError: it is gone, or the host could not be asked.
    """
    asked(target, ("sh", "-c", _SIGNAL, "worker", str(pid), "CONT"), DEADLINE_S, as_root=target.as_root)
