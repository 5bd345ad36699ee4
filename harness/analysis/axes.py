"""Which factor a chart puts where: series by colour, numbers along x, the rest in panels of their own."""

from dataclasses import dataclass

from harness.plan import Plan
from harness.spec.quantities import Duration, Rate, Size

PREFERRED_SERIES = "model"
PREFERRED_X = "load.connections"


@dataclass(frozen=True)
class Level:
    """A level of a numeric factor."""

    value: float
    unit: str  # "", "us", "bytes", "/s"


@dataclass(frozen=True)
class Axes:
    """The roles of an experiment's factors; None where it has none for a role."""

    series: str | None
    x: str | None
    x_unit: str
    panels: tuple[str, ...]  # every further factor with more than one level

    def panel_of(self, factors: dict[str, str]) -> tuple[str, ...]:
        """The levels that say in which panel a point belongs."""
        return tuple(factors[name] for name in self.panels)

    def series_of(self, factors: dict[str, str]) -> str:
        """The level that gives a point its colour; empty where there is no such factor."""
        return factors[self.series] if self.series else ""

    def x_of(self, factors: dict[str, str]) -> float | None:
        """A point's place along x."""
        level = numeric(factors[self.x]) if self.x else None
        return level.value if level else None


def numeric(label: str) -> Level | None:
    """A label as a number with a unit; None when it is a name."""
    try:
        return Level(float(label), "") if label.strip()[:1].isdigit() else None
    except ValueError:
        pass
    for kind, divisor, unit in ((Duration, 1_000, "us"), (Size, 1, "bytes"), (Rate, 1_000, "/s")):
        try:
            return Level(kind.parse(label).amount / divisor, unit)
        except ValueError:
            continue
    return None


def choose_axes(plan: Plan) -> Axes:
    """The roles of a plan's factors, by what their levels are."""
    units = {name: _unit(levels) for name, levels in plan.factors.items()}
    numbers = [name for name, unit in units.items() if unit is not None]
    x = _choose_x(numbers, plan) if numbers else None
    candidates = [name for name in plan.factors if name != x]
    names = [name for name in candidates if units[name] is None]
    series = next(iter(sorted(names, key=lambda name: name != PREFERRED_SERIES) + candidates), None)
    panels = tuple(name for name in candidates if name != series and len(plan.factors[name]) > 1)
    return Axes(series, x, (units[x] or "") if x else "", panels)


def _choose_x(numbers: list[str], plan: Plan) -> str:
    if PREFERRED_X in numbers:
        return PREFERRED_X
    return max(numbers, key=lambda name: len(plan.factors[name]))


def _unit(levels: tuple[str, ...]) -> str | None:
    """The common unit of a factor whose levels are two numbers or more; None for names and for a constant."""
    found = [numeric(level) for level in levels]
    known = [level for level in found if level is not None]
    units, values = {level.unit for level in known}, {level.value for level in known}
    return known[0].unit if len(known) == len(levels) == len(values) > 1 and len(units) == 1 else None
