"""What a run of the gates is stored as: rows with their bounds, lines for the plots, and the host's facts.

Format 1. A stored run is all that `docs/accuracy.md` is made from (tests/bench/accuracy.py).
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FLOOR_FACTOR = 1.5
"""A bound is never below so many times what a bare timerfd loop shows in the same run."""

Outcome = Literal["pass", "missed", "published", "not run"]
Sense = Literal["at most", "at least", "between"]


class Record(BaseModel):
    """Frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(Record):
    """One measured value beside its bound."""

    name: str = Field(description="What is measured, in words.")
    unit: str = ""
    sense: Sense | None = Field(None, description="What the bound asks of the value; none: it is published.")
    bound: float | None = Field(None, description="The bound of METHOD.md; of `between` the lower one.")
    upper: float | None = Field(None, description="The upper bound of `between`.")
    floor: float | None = Field(None, description="The same quantity of a bare timerfd loop in the same run.")
    measured: float | None = None
    low: float | None = Field(None, description="The 95 % interval of the value, where it has one.")
    high: float | None = None
    outcome: Outcome
    note: str = Field("", description="Why it was not run, or what explains the value.")

    @property
    def limit(self) -> float | None:
        """The bound that was held against the value: no tighter than the floor allows."""
        if self.bound is None or self.floor is None:
            return self.bound
        return max(self.bound, FLOOR_FACTOR * self.floor)


class Line(Record):
    """One line of a gate's plot."""

    name: str
    panel: str = Field("", description="The small chart that it belongs to, where there are several.")
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = Field((), description="The 95 % interval of each point.")
    high: tuple[float, ...] = ()


class GateResult(Record):
    """What came of one gate."""

    name: str
    rows: tuple[Row, ...]
    lines: tuple[Line, ...] = ()
    facts: dict[str, float | int | str | None] = Field({}, description="What else a reader needs, such as the rate.")
    seconds: float = Field(description="How long it took.")


class BenchRun(Record):
    """`run.json`: one run of gates, in one go on one machine."""

    format: Literal[1] = 1
    made_at: str = Field(description="UTC, to the second.")
    seconds: float
    scale: float = Field(description="Length of the runs over their usual length.")
    cores: tuple[int, ...] = Field(description="Core of the servers, core of the clients.")
    host: dict[str, Any] = Field(description="As in environment.json: no name, no path.")
    tools: dict[str, str | None] = Field(description="Versions of what was measured beside; none: not installed.")
    gates: tuple[GateResult, ...]


def at_most(
    name: str, unit: str, measured: float | None, bound: float, floor: float | None = None, note: str = ""
) -> Row:
    """A row that passes where the value is no more than max(bound, 1.5 × floor); without a value it is missed."""
    row = Row(
        name=name, unit=unit, sense="at most", bound=bound, floor=floor, measured=measured, outcome="missed", note=note
    )
    holds = measured is not None and row.limit is not None and measured <= row.limit
    return row.model_copy(update={"outcome": "pass" if holds else "missed"})


def at_least(
    name: str,
    unit: str,
    measured: float,
    bound: float,
    interval: tuple[float | None, float | None] = (None, None),
    note: str = "",
) -> Row:
    """A row that passes where the value is no less than the bound."""
    low, high = interval
    outcome: Outcome = "pass" if measured >= bound else "missed"
    return Row(
        name=name,
        unit=unit,
        sense="at least",
        bound=bound,
        measured=measured,
        low=low,
        high=high,
        outcome=outcome,
        note=note,
    )


def between(
    name: str, unit: str, measured: float, interval: tuple[float, float], bounds: tuple[float, float], reason: str = ""
) -> Row:
    """A row that passes where the whole interval lies within the bounds, or where a measured reason is given for it."""
    (low, high), (bound, upper) = interval, bounds
    inside = bound <= low and high <= upper
    return Row(
        name=name,
        unit=unit,
        sense="between",
        bound=bound,
        upper=upper,
        measured=measured,
        low=low,
        high=high,
        outcome="pass" if inside or reason else "missed",
        note="" if inside else reason,
    )


def published(
    name: str,
    unit: str,
    measured: float | None,
    interval: tuple[float | None, float | None] = (None, None),
    note: str = "",
) -> Row:
    """A row without a bound."""
    low, high = interval
    return Row(name=name, unit=unit, measured=measured, low=low, high=high, outcome="published", note=note)


def not_run(name: str, reason: str) -> Row:
    """A row that was not measured, with the reason."""
    return Row(name=name, outcome="not run", note=reason)
