"""What cannot be together in faults on a schedule; each fault is judged by itself, and told with its line."""

import math
from collections.abc import Collection, Iterator, Sequence

from harness.spec.cluster import FaultAction, TimedFault
from harness.spec.contradiction import Contradiction
from harness.spec.experiment import Trial
from harness.spec.foreign import RunningServer

NOT_UNDONE: tuple[FaultAction, ...] = ("crash-handler", "kill-worker")
"""What nobody but the server itself makes good again."""

OF_THE_NETWORK: tuple[FaultAction, ...] = ("partition", "delay", "loss")

OF_THE_WHOLE_HOST: tuple[FaultAction, ...] = ("kill-host", "freeze-host")
"""While one is in force nothing else can be done there, or undone."""


def fault_contradictions(trial: Trial, _varied: Collection[str]) -> Iterator[Contradiction]:
    """Every contradiction of the faults of a complete trial.

    Args:
        trial: the trial.
        _varied: dotted paths that factors set.
    """
    if not trial.faults:
        return
    if isinstance(trial.model, RunningServer):
        what = "a server that runs already is not broken on purpose: nobody here can start it again"
        yield Contradiction(("faults", "model"), what, "leave `faults` out for this model")
    if trial.load.kind == "capacity":
        what = "a search for capacity cannot have faults in it"
        yield Contradiction(("load.kind", "faults"), what, "remove `faults`, or set `load.kind: open`")
    for number, fault in enumerate(trial.faults):
        yield from _of_one(trial, number, fault)
        yield from _too_early(trial, number, fault)


def has_crash(trial: Trial) -> bool:
    """Whether a handler is to crash on a schedule: then its server is told to heed the request for it."""
    return any(fault.do == "crash-handler" for fault in trial.faults)


def _of_one(trial: Trial, number: int, fault: TimedFault) -> Iterator[Contradiction]:
    def found(key: str, what: str, fix: str, *others: str) -> Contradiction:
        return Contradiction(
            (f"faults.{number}.{key}", "faults", *others), f"fault {number + 1} of `faults`: {what}", fix
        )

    if fault.at >= trial.load.window:
        fix = "lengthen `load.window` or bring its `at` forward"
        yield found("at", "it would come after the window", fix, "load.window")
    if fault.server > trial.servers:
        yield found("server", "there is no such server", "name one from 1 to the number of `servers`", "servers")
    if (fault.do == "delay") != (fault.delay is not None):
        yield found("delay", "`delay` goes with `do: delay`, and only with it", "give both or neither")
    if (fault.do == "loss") != (fault.share is not None):
        yield found("share", "`share` goes with `do: loss`, and only with it", "give both or neither")
    if fault.lasts is not None and fault.do in NOT_UNDONE:
        what = "`lasts` has no effect, as nobody but the server itself replaces what is gone"
        yield found("lasts", what, "leave it out, or freeze instead: `do: freeze-worker`")
    if fault.do == "crash-handler" and trial.handler.fault != "none":
        what = "a server heeds one kind of request for a fault, and `handler.fault` is another"
        yield found("do", what, "remove `handler.fault`, or this fault", "handler.fault")


def _too_early(trial: Trial, number: int, fault: TimedFault) -> Iterator[Contradiction]:
    """A fault of a server on which another one is still in force would meet something else than a server that works."""
    for other_number, other in in_force_before(trial.faults, number):
        if other.server != fault.server or _beside_the_network(other, fault):
            continue
        yield Contradiction(
            (f"faults.{number}.at", f"faults.{other_number}.lasts", "faults"),
            f"fault {number + 1} of `faults`: fault {other_number + 1} of the same server is still in force then",
            "give that one a shorter `lasts`, or break another server",
        )


def in_force_before(faults: Sequence[TimedFault], number: int) -> Iterator[tuple[int, TimedFault]]:
    """Which others are still in force when one begins, each with its place in the list.

    Args:
        faults: of a trial.
        number: the place of the one.
    """
    for other_number, other in enumerate(faults):
        if other_number != number and _within(other, faults[number], other_number < number):
            yield other_number, other


def undone_by_each_other(earlier: TimedFault, later: TimedFault) -> bool:
    """Whether of two faults in force together, on one host, one makes the other impossible, or impossible to undo."""
    if {earlier.do, later.do} & set(OF_THE_WHOLE_HOST):
        return True
    return earlier.do in OF_THE_NETWORK and later.do in OF_THE_NETWORK


def _beside_the_network(earlier: TimedFault, later: TimedFault) -> bool:
    """Whether a server is broken while its network is: that can be, and can be undone."""
    return earlier.do in OF_THE_NETWORK and not undone_by_each_other(earlier, later)


def _within(earlier: TimedFault, later: TimedFault, stands_before: bool) -> bool:
    """Whether one begins while the other is in force; of two at the same time, the one that stands first is the earlier."""
    if earlier.do in NOT_UNDONE:
        return False
    begins, ends = earlier.at.ns, math.inf if earlier.lasts is None else earlier.at.ns + earlier.lasts.ns
    return begins < later.at.ns < ends or (begins == later.at.ns and stands_before)
