"""Faults on a schedule: what a trial breaks on purpose, when, and how it is whole again.

The controller acts: by commands on the server's host, through its engine, or by the commands that the inventory names for a whole
host. Whatever can be undone is, at its time, at the trial's end at the latest, and also when the trial fails or is interrupted.
"""

from harness.timed_faults.leftovers import left_over_trouble, remove_left_over
from harness.timed_faults.overlaps import overlaps
from harness.timed_faults.placing import fault_hosts, fault_targets, hosts_killed, servers_hit
from harness.timed_faults.preflight import preflight
from harness.timed_faults.schedule import FaultSchedule
from harness.timed_faults.target import FaultHost, FaultTarget, run_here

__all__ = [
    "FaultHost",
    "FaultSchedule",
    "FaultTarget",
    "fault_hosts",
    "fault_targets",
    "hosts_killed",
    "left_over_trouble",
    "overlaps",
    "preflight",
    "remove_left_over",
    "run_here",
    "servers_hit",
]
