"""Sides listed with their values in a sentence, where nothing is the best and has no ratio: what a fault took with it."""

from itertools import groupby

from harness.analysis.compare import DAMAGE, Comparison
from harness.analysis.study import Study
from harness.report.text import between, count, estimated, listed
from harness.spec.metrics import METRICS

NOTE = (
    "A fault was set off in the window: throughput, times and costs of the trials with it are of a window that is whole before"
    " it and broken after it. They compare nothing; what the fault took with it does."
)


def list_sides(comparison: Comparison) -> str:
    """`Connections lost to the crash, of 32 that had no part in it: 0 with ppc; 32 with tpc and reactor (5 repeats)`."""
    told = [(_value(comparison, at), side) for at, (side, _, _) in enumerate(comparison.sides)]
    groups = [
        f"{value} with {listed([side for _, side in group])}" for value, group in groupby(told, key=lambda one: one[0])
    ]
    repeats = count(min(estimate.runs for _, _, estimate in comparison.sides), "repeat")
    return f"{_what(comparison)}: {'; '.join(groups)} ({repeats})"


def _what(comparison: Comparison) -> str:
    faults = {point.fault for _, point, _ in comparison.sides} - {"none"}
    if comparison.metric == "error_count" and any(point.breaks for _, point, _ in comparison.sides):
        return "Requests that failed in the window with the faults"
    if not faults or comparison.metric not in DAMAGE:
        return METRICS[comparison.metric].title
    fault = faults.pop() if len(faults) == 1 else "fault"
    held = {point.rows[0].planned.trial.load.connections for _, point, _ in comparison.sides}
    of = f", of {held.pop():,} that had no part in it" if len(held) == 1 else ""
    lost = comparison.metric == "connections_lost"
    return f"Connections lost to the {fault}{of}" if lost else f"Requests that failed in the window with the {fault}"


def _value(comparison: Comparison, at: int) -> str:
    estimate = comparison.sides[at][2]
    inside = between(comparison.metric, estimate) if estimate.least != estimate.most else ""
    return estimated(comparison.metric, estimate) + (f" [{inside}]" if inside else "")


def broken(study: Study) -> bool:
    """Whether any trial had a fault set off in it."""
    return any(point.fault != "none" or point.breaks for point in study.points)
