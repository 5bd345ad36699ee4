"""What came of each fault on a schedule: how soon it was noticed, how soon all was well again, what was missed. Pure.

All of it is read from the client's counts of every 100 ms and from the balancer's own events; docs/method.md has the definitions
in sentences ("Faults on a schedule").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.raw import ClientReport, TimedFaultReport
from harness.result import TrialResult

SLICE_S = 0.1
"""Length of the client's slices, and what times from them are good to."""

FEWEST_BEFORE = 5
"""Slices before the first fault that a rate is told from."""

HOLD_S = 1.0
"""How long all must be well for a recovery, or as long as a request may wait where that is more: till then it may still fail."""

LARGE = 0.1
"""By how much the rate may be lower than before and count as the same: as a shift within a window (`steady`)."""

CHANCE = 3.0
"""Standard errors of a count by which chance alone may lower it."""


@dataclass(frozen=True)
class Recovery:
    """One fault that was done. Times in seconds; from the act unless they say otherwise."""

    fault: TimedFaultReport
    at_s: float  # the act, from the window's start
    undone_s: float | None  # the same of its undoing; none: not before the end
    first_error_s: float | None  # to the end of the 100 ms in which the first request was known to have failed
    balancer_s: float | None  # until the balancer took the server for down
    recover_s: float | None  # until all was well again; none: not within the window, or it cannot be told
    missed: float | None  # answers short of the rate before, until then or to the window's end

    @property
    def detect_s(self) -> float | None:
        """Until anybody noticed: the first failed request, or the balancer."""
        known = [at_s for at_s in (self.first_error_s, self.balancer_s) if at_s is not None]
        return min(known, default=None)


def recoveries(result: TrialResult) -> tuple[Recovery, ...]:
    """What came of each fault of a trial that was done within its window, in the order of the acts."""
    client = result.client
    if client is None:
        return ()
    done = sorted((one for one in result.faults if one.outcome == "done"), key=lambda one: one.began_ns or 0)
    acts_s = [((one.began_ns or 0) - client.window_start_ns) / 1e9 for one in done]
    slices = len(client.per_100ms)
    within = [(one, at_s) for one, at_s in zip(done, acts_s, strict=True) if 0 <= at_s < slices * SLICE_S]
    before = _rate_before(result, client, min(acts_s, default=0.0))
    hold = math.ceil(round(max(HOLD_S, result.trial.load.timeout.s) / SLICE_S, 6))
    found = []
    for number, (fault, at_s) in enumerate(within):
        later = within[number + 1 :]
        end = int(later[0][1] / SLICE_S) if later else slices
        same_host_s = next((after_s for one, after_s in later if one.host == fault.host), math.inf)
        found.append(
            _recovery(result, client, fault, at_s, _Stretch(int(at_s / SLICE_S), end, before, hold, same_host_s))
        )
    return tuple(found)


@dataclass(frozen=True)
class _Stretch:
    """From the slice of an act to the next act, or to the window's end."""

    first: int
    end: int
    before: float | None  # answers of a slice before the first fault, on average
    hold: int  # slices that must be well
    same_host_s: float  # the next act on the same host, from the window's start; infinite: there is none


def _recovery(
    result: TrialResult, client: ClientReport, fault: TimedFaultReport, at_s: float, stretch: _Stretch
) -> Recovery:
    well = _well_from(client, stretch)
    short = None
    if stretch.before is not None:
        counted = client.per_100ms[stretch.first : stretch.end if well is None else well]
        short = max(0.0, stretch.before * len(counted) - sum(counted))
    recover_s = None if well is None else max(0.0, well * SLICE_S - at_s)
    undone_ns = fault.undone_ns
    return Recovery(
        fault=fault,
        at_s=at_s,
        undone_s=None if undone_ns is None else (undone_ns - client.window_start_ns) / 1e9,
        first_error_s=_first_error_s(client, at_s, stretch),
        balancer_s=_balancer_s(result, fault, stretch.same_host_s - at_s),
        recover_s=0.0 if well == stretch.first else recover_s,
        missed=short,
    )


def _rate_before(result: TrialResult, client: ClientReport, first_act_s: float) -> float | None:
    """Answers of a slice before anything was broken; None where the load itself changes, or that is too short to tell."""
    load = result.trial.load
    counted = client.per_100ms[: max(0, int(first_act_s / SLICE_S))]
    if load.rates or load.growth is not None or len(counted) < FEWEST_BEFORE or not sum(counted):
        return None
    return sum(counted) / len(counted)


def _first_error_s(client: ClientReport, at_s: float, stretch: _Stretch) -> float | None:
    failed = (
        number
        for number in range(stretch.first, stretch.end)
        if number < len(client.errors_per_100ms) and client.errors_per_100ms[number]
    )
    number = next(failed, None)
    return None if number is None else (number + 1) * SLICE_S - at_s


def _balancer_s(result: TrialResult, fault: TimedFaultReport, until_s: float) -> float | None:
    """The first time after the act that the balancer took the server for down, its host's clock put right.

    What it says after the next act on the same host may be of that one. An act on another host does not touch the server that it
    names, so of faults at one moment each has its own time.
    """
    if result.balancer is None or fault.began_ns is None:
        return None
    name = result.trial.server_names[fault.server - 1]
    offset_ns = next((use.clock_offset_ns for use in result.hosts.values() if "balancer" in use.services), 0)
    after_s = (
        (event.at_ns - offset_ns - fault.began_ns) / 1e9
        for event in result.balancer.events
        if event.server == name and event.state == "down"
    )
    return next((at_s for at_s in after_s if 0 <= at_s < until_s), None)


def _well_from(client: ClientReport, stretch: _Stretch) -> int | None:
    """The first slice from which on no request failed, and answers came as before, for as long as it takes to be sure."""
    if stretch.before is None or len(client.errors_per_100ms) < stretch.end:
        return None
    for number in range(stretch.first, stretch.end - stretch.hold + 1):
        held = slice(number, number + stretch.hold)
        if not any(client.errors_per_100ms[held]) and _as_before(client.per_100ms[held], stretch.before):
            return number
    return None


def _as_before(counts: Sequence[int], before: float) -> bool:
    """Whether the first of these slices, and all of them together, brought as many answers as slices did before."""
    return counts[0] >= _least(before) and sum(counts) >= _least(before * len(counts))


def _least(expected: float) -> float:
    return expected - max(LARGE * expected, CHANCE * math.sqrt(expected))


def worst(found: Sequence[float | None]) -> float | None:
    """The longest of the times of a trial's faults; None where there are none, or one is not known."""
    known = [value for value in found if value is not None]
    return max(known) if known and len(known) == len(found) else None
