"""Another SLO than the one a search was for: what its stored steps still say.

A step keeps its percentiles, its errors, and whether it met the SLO that was asked, the growth of its backlog included. So a
stricter SLO on the same percentiles can be held against the steps that met the old one: what failed that fails this, too. A
laxer one cannot find what lies above, as a step does not say whether its backlog grew; but what met the old SLO meets the
laxer, so the old capacity is a lower bound. A percentile that was not asked for is not stored.
"""

import math
from collections.abc import Iterable

from harness.analysis.clusters import Reader, Value, capacity_of
from harness.analysis.study import Row
from harness.result import Capacity, SearchStep
from harness.spec.traffic import Slo


def slo_in_words(slo: Slo) -> str:
    """`p99 ≤ 50 ms and errors ≤ 0.1 %`."""
    limits = [f"{name.replace('_', '.')} ≤ {limit}" for name, limit in slo.latencies.items()]
    limits += [f"errors ≤ {slo.errors}"] if slo.errors is not None else []
    return " and ".join(limits) or "no SLO"


def unknown_limits(asked: Slo, measured: Slo) -> list[str]:
    """The percentiles that an SLO names and the steps of a search for the other do not hold."""
    return [name.replace("_", ".") for name in asked.latencies if name not in measured.latencies]


def same(asked: Slo, measured: Slo) -> bool:
    """Whether they ask the same."""
    return not is_laxer(asked, measured) and not is_laxer(measured, asked)


def is_laxer(asked: Slo, measured: Slo) -> bool:
    """Whether anything of it allows more than the one that was measured: what is found then is a lower bound."""
    limits = asked.latencies
    longer = any(name not in limits or limits[name] > limit for name, limit in measured.latencies.items())
    return longer or _errors(asked) > _errors(measured)


def reader_for(asked: Slo, measured: Slo) -> Reader:
    """How a run's value is taken under the SLO that is asked for.

    Args:
        asked: with no percentile that the other does not name (`unknown_limits`).
        measured: that the searches were for.
    """
    if same(asked, measured):
        return capacity_of

    def read(row: Row) -> Value | None:
        found = row.result.capacity if row.result is not None else None
        return None if found is None else held_by_steps(asked, found)

    return read


def held_by_steps(asked: Slo, found: Capacity) -> Value | None:
    """The highest rate whose steps meet an SLO, below all whose steps do not, and the lowest of these.

    As in the search, the steps of a rate decide by majority, and only rates up to the capacity found count. None where no
    such rate does, or where the client ended the search before any rate failed.
    """
    if found.low_rps is None:
        return None
    rates = sorted({step.rate_rps for step in found.steps if step.rate_rps <= found.low_rps and step.met is not None})
    holding = {rate: _holds(asked, [step for step in found.steps if step.rate_rps == rate]) for rate in rates}
    above = next((rate for rate in rates if not holding[rate]), found.high_rps)
    if above is None:
        return None
    low = max((rate for rate in rates if holding[rate] and rate < above), default=None)
    return None if low is None else (low, above)


def _holds(asked: Slo, steps: Iterable[SearchStep]) -> bool:
    votes = [step.met and _meets(asked, step) for step in steps if step.met is not None]
    return 2 * sum(votes) > len(votes)


def _meets(asked: Slo, step: SearchStep) -> bool:
    within = (_value(step, name) <= limit.us for name, limit in asked.latencies.items())
    return all(within) and step.errors <= _errors(asked)


def _value(step: SearchStep, name: str) -> float:
    """What cannot be told is not met."""
    value = step.percentiles_us.get(name)
    return math.inf if value is None else value


def _errors(slo: Slo) -> float:
    return slo.errors.fraction if slo.errors is not None else 0.0
