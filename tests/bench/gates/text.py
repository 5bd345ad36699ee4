"""Rows as people read them, in a terminal and in docs/accuracy.md alike."""

from tests.bench.gates.record import FLOOR_FACTOR, Row

_SIGNS = {"at most": "≤", "at least": "≥"}


def row_text(row: Row) -> str:
    """One line of a terminal."""
    parts = [f"{row.outcome.upper() if row.outcome == 'missed' else row.outcome:<9} {row.name}:"]
    parts += [part for part in (value_text(row), bound_text(row) and f"({bound_text(row)})", row.note) if part]
    return " ".join(parts)


def value_text(row: Row) -> str:
    """The value with its unit and interval; nothing where there is none."""
    if row.measured is None:
        return ""
    interval = f" [{number(row.low)}, {number(row.high)}]" if row.low is not None and row.high is not None else ""
    return f"{number(row.measured)}{row.unit and f' {row.unit}'}{interval}"


def bound_text(row: Row) -> str:
    """What was asked of the value; with the floor, where that is what moved the bound."""
    if row.bound is None or row.limit is None or row.sense is None:
        return ""
    if row.sense == "between":
        return f"within [{number(row.bound)}, {number(row.upper)}]"
    moved = f" = {FLOOR_FACTOR:g} × floor" if row.limit != row.bound else ""
    return f"{_SIGNS[row.sense]} {number(row.limit)}{moved}"


def number(value: float | None) -> str:
    """Three significant digits, or whole where it is large."""
    if value is None:
        return "–"
    if value == round(value):
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
