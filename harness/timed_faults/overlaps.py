"""Faults that meet on one host, which only the placement of the servers shows. Pure."""

from collections.abc import Iterator, Sequence

from harness.spec.cluster import TimedFault
from harness.spec.fault_rules import in_force_before, undone_by_each_other
from harness.timed_faults.target import FaultHost


def overlaps(faults: Sequence[TimedFault], hosts: Sequence[FaultHost]) -> Iterator[str]:
    """A line for each fault that comes while another one of the same host makes it, or its undoing, impossible.

    Those of one and the same server are told from the spec (harness/spec/fault_rules.py).

    Args:
        faults: of a trial.
        hosts: of its servers; the first is server 1's.
    """
    for number, fault in enumerate(faults):
        host = hosts[fault.server - 1].host
        for other_number, other in in_force_before(faults, number):
            if hosts[other.server - 1].host == host and undone_by_each_other(other, fault):
                yield (
                    f"faults: {host}: fault {number + 1} of `faults`, `{fault.do}` of server {fault.server}, comes while fault"
                    f" {other_number + 1}, `{other.do}` of server {other.server}, is still in force on the same host;"
                    " give that one a shorter `lasts`, or more hosts to the servers"
                )
