"""A histogram as lines of text: where the response times lie, on a logarithmic scale."""

import math
from collections.abc import Iterator, Mapping, Sequence

from harness.histogram import Counts, bounds_of

_ROWS = 14  # at most, so that a report stays on one screen
_WIDTH = 40  # of the longest bar, characters
_STEPS = (1.0, 1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0)  # ten to a decade (Renard's series R10)
_EIGHTHS = " ▏▎▍▌▋▊▉"
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))


def plot(counts: Counts, marks: Mapping[str, float], missing: int = 0) -> Iterator[str]:
    """Lines of bars, shortest times first.

    Args:
        counts: bucket index to count, ns.
        marks: names of values, ns, each shown in the row that it lies in.
        missing: requests that have no value, as they were not answered in time: a row of their own.
    """
    total = sum(counts.values()) + missing
    if not total:
        return
    edges = _edges(counts)
    rows = [0] * max(len(edges) - 1, 0)
    for index, count in counts.items():
        rows[_row_of(sum(bounds_of(index)) / 2, edges)] += count
    most, seen = max([*rows, missing]), 0
    for row, count in enumerate(rows):
        seen += count
        low, high = edges[row], edges[row + 1]
        named = ", ".join(name for name, value in marks.items() if _row_of(value, edges) == row)
        yield _line(f"{_time(low)} – {_time(high)}", count, most, f"{seen / total:8.3%}  {named}")
    if missing:
        yield _line("no answer in time", missing, most, f"{1:8.3%}")


def _edges(counts: Counts) -> Sequence[float]:
    """Round numbers around all values, at most so many rows of them."""
    if not counts:
        return ()
    low, high = (max(1.0, sum(bounds_of(index)) / 2) for index in (min(counts), max(counts)))
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    grid = [step * 10.0**decade for decade in decades for step in _STEPS]
    first = max(at for at, edge in enumerate(grid) if edge <= low)
    last = min((at for at, edge in enumerate(grid) if edge > high), default=len(grid) - 1)
    stride = max(1, math.ceil((last - first) / _ROWS))
    edges = grid[first : last + stride : stride]
    return edges if edges[-1] > high else [*edges, grid[last]]


def _row_of(value_ns: float, edges: Sequence[float]) -> int:
    for row in range(len(edges) - 2):
        if value_ns < edges[row + 1]:
            return row
    return len(edges) - 2


def _line(span: str, count: int, most: int, rest: str) -> str:
    eighths = round(count / most * _WIDTH * 8) if most else 0
    if count and not eighths:
        eighths = 1  # what is there is seen
    bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return f"{span:>19}  {bar:<{_WIDTH}} {count:>11,} {rest}".rstrip()


def _time(value_ns: float) -> str:
    for size, unit in _UNITS:
        if value_ns >= size:
            return f"{value_ns / size:.4g} {unit}"
    return f"{value_ns:.4g} ns"
