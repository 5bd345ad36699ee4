"""Whether the window was stationary, phase by phase where the load has several rates."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.judging.evidence import STALL_S, Evidence
from harness.judging.stationarity import (
    FEWEST_SLICES,
    SLICE_S,
    Change,
    backlog_growth,
    gather,
    longest_stall_s,
    shift,
    trend,
)
from harness.result import Check


@dataclass(frozen=True)
class _Stretch:
    """A part of the window that is meant to be steady."""

    name: str  # `the window`, or which part of it
    per_100ms: tuple[int, ...]
    offered: int | None  # by the schedule, less what failed; None in a closed loop
    completed: int


def steady(evidence: Evidence) -> Check:
    """Neither a stall nor a trend, a shift or a growing backlog, as far as a window can tell."""
    if evidence.client.sent and not evidence.client.completed_in_window:
        return Check(name="steady", passed=False, detail="no right answer came in the whole window")
    rhythm_s = evidence.rhythm_s
    stretches = _stretches(evidence)
    found = [said for stretch in stretches if (said := _stalled(stretch, rhythm_s)) is not None]
    load = evidence.trial.load
    if (load.rates and load.shape == "ramp") or load.growth is not None:
        moving = "a ramp" if load.rates else "a load that grows"
        detail = "; ".join(found) or f"{moving} is not meant to be steady; no stall"
        return Check(name="steady", passed=not found if found else None, detail=detail)
    told = 0
    for stretch in stretches:
        values = gather(stretch.per_100ms, rhythm_s)
        told += bool(values)
        found += _moved(stretch, values) if values else []
    if found:
        return Check(name="steady", passed=False, detail="; ".join(found))
    if not told:
        detail = f"too few answers or too short a window to tell: {FEWEST_SLICES} slices of 20 answers are needed"
        return Check(name="steady", passed=None, detail=detail)
    parts = "" if len(stretches) == 1 else f" in {told} of {len(stretches)} parts, the others are too short"
    parts = " in every part" if 1 < told == len(stretches) else parts
    return Check(name="steady", passed=True, detail=f"no stall, trend or shift{parts}{_sizes(stretches, rhythm_s)}")


def _stretches(evidence: Evidence) -> list[_Stretch]:
    client = evidence.client
    if not client.phases:
        failed = sum(client.errors.values())
        offered = None if client.schedule is None else client.intended - failed
        return [_Stretch("the window", client.per_100ms, offered, client.completed_in_window)]
    edges = [round((edge - client.window_start_ns) / 1e9 / SLICE_S) for edge in (p.to_ns for p in client.phases)]
    starts = [0, *edges[:-1]]
    return [
        _Stretch(
            f"part {number} of the window",
            client.per_100ms[start:end],
            phase.intended - sum(phase.errors.values()),
            phase.completed,
        )
        for number, (phase, start, end) in enumerate(zip(client.phases, starts, edges, strict=True), start=1)
    ]


def _stalled(stretch: _Stretch, rhythm_s: float) -> str | None:
    stall_s = longest_stall_s(stretch.per_100ms, rhythm_s)
    return f"no answer came for {stall_s:.1f} s of {stretch.name}" if stall_s >= STALL_S else None


def _moved(stretch: _Stretch, values: Sequence[float]) -> list[str]:
    """The most telling change of the answers' rate, and a backlog that grew."""
    said = []
    line, step = trend(values), shift(values)
    if line.matters and (not step.matters or line.t >= step.t):
        said.append(f"the rate of answers {_way(line)} by {abs(line.size):.0%} of its mean over {stretch.name}")
    elif step.matters:
        said.append(
            f"the level of the rate of answers {_way(step)} by {abs(step.size):.0%} of its mean in {stretch.name}"
        )
    if stretch.offered is not None:
        growth = backlog_growth(values, stretch.offered, stretch.completed)
        if growth:
            said.append(
                f"the backlog grew by {growth:,.0f} requests over {stretch.name}, {growth / stretch.offered:.1%} of those"
                " offered: the server did not keep up"
            )
    return said


def _way(change: Change) -> str:
    return "rose" if change.size > 0 else "fell"


def _sizes(stretches: Sequence[_Stretch], rhythm_s: float) -> str:
    """How far the fitted line moves, where there is one window."""
    if len(stretches) > 1:
        return ""
    return f"; a line through it changes by {trend(gather(stretches[0].per_100ms, rhythm_s)).size:+.1%}"
