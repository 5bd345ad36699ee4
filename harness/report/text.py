"""Numbers and levels as people read them."""

import math
from collections import Counter
from collections.abc import Iterable

from harness.analysis.axes import Axes
from harness.analysis.statistics import Estimate
from harness.spec.metric import Unit
from harness.spec.metrics import METRICS

NOTHING = "–"

_TIMES = ((1e6, "s"), (1e3, "ms"), (1.0, "µs"))
_SIZES = ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B"))

STATES = {
    "ok": "ok",
    "marked": "marked: done, but one of its own checks doubts it; it counts in the means",
    "invalid": "invalid: done, but says nothing about the server; out of every mean",
    "failed": "failed: out of every mean",
    "void": "void: to be run again; out of every mean",
    "missing": "missing: planned, without a result",
    "unreadable": "unreadable: its record is damaged",
    "not needed": "not needed: left out by the decision before its block, as its point was settled or the time was up",
}
"""What the state of a trial means, in words."""

GAVE_OUT = {
    "nobody": "nobody gave out",
    "unknown": "who gave out is not known, as nobody looked into the server",
    "server cpu": "the server's CPU gave out first",
    "client cpu": "the load client's CPU gave out first",
    "client lag": "the load client fell behind its schedule",
    "backend": "the backend gave out first",
    "worker pool": "the worker pool gave out first",
    "throttling": "the CPU quota held the server back",
    "memory": "memory gave out first",
    "errors": "errors came first",
    "fault": "the fault that was asked for came first",
    "open files": "the server's open files gave out first",
    "ports": "the load client's ports gave out first",
    "client files": "the load client's open files gave out first",
    "listen queue": "the listen queue gave out first",
    "run queue": "others had the server's cores",
    "steal": "a hypervisor had the server's cores",
}
"""Who gave out first, as the end of a sentence."""


def number(value: float, digits: int = 3) -> str:
    """Three significant digits, thousands apart, no exponent: 8,710, 0.98, 12.3."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "∞"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    rounded = round(value, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{rounded:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def times(ratio: float) -> str:
    """A ratio to two decimals: 1.90, 1.02, 0.04; three digits from 10 on."""
    if 0.995 < ratio < 1.005:
        return f"{ratio:.3f}"  # on which side of 1 it lies must be seen
    return f"{ratio:.2f}" if 0.1 <= ratio < 10 else number(ratio)


def amount(value: float, unit: Unit, like: float | None = None) -> str:
    """A number with its unit, scaled so that it reads well; `like` chooses the scale instead of the value."""
    match unit:
        case "us":
            size, name = scale(value if like is None else like, unit)
            return f"{number(value / size)} {name}"
        case "bytes":
            size, name = scale(value if like is None else like, unit)
            return f"{number(value / size)} {name}"
        case "share":
            return f"{number(value * 100)} %"
        case "requests/s":
            return f"{number(value)}/s"
        case "s":
            return f"{number(value)} s"
        case _:
            return number(value)


def scale(value: float, unit: Unit) -> tuple[float, str]:
    """How much of the unit one of the shown unit is, and its name."""
    if unit not in ("us", "bytes"):
        return (0.01, "%") if unit == "share" else (1.0, unit)
    ladder = _TIMES if unit == "us" else _SIZES
    return next(((size, name) for size, name in ladder if abs(value) >= size), ladder[-1])


def estimated(metric: str, found: Estimate | None) -> str:
    """A mean with its unit; `≥` where a run was cut off by the timeout."""
    if found is None:
        return NOTHING
    return ("≥ " if found.at_least else "") + amount(found.mean, METRICS[metric].unit)


def between(metric: str, found: Estimate | None) -> str:
    """The interval as `low–high`, in the unit of the mean; the spread of the runs where there is none."""
    if found is None or found.runs == 1 or found.at_least:
        return ""
    unit = METRICS[metric].unit
    if found.low is not None and found.high is not None:
        size, _ = scale(found.mean, unit)
        return f"{number(max(found.low, 0) / size)}–{number(found.high / size)}"
    size, _ = scale(found.mean, unit)
    return f"runs {number(found.least / size)}–{number(found.most / size)}"


def place(axes: Axes, panel: tuple[str, ...], x: str | None) -> str:
    """Where a comparison stands: `256 connections, keep-alive`."""
    parts = [level(axes.x, x)] if axes.x and x is not None else []
    parts += [level(name, label) for name, label in zip(axes.panels, panel, strict=True)]
    return ", ".join(parts)


def level(factor: str, label: str) -> str:
    """A level so that it can stand alone: names as they are, numbers with what they count."""
    noun = factor.rpartition(".")[2].replace("_", " ")
    if not label[:1].isdigit():
        return label if label not in ("true", "false", "null", "off", "on", "none") else f"{noun} {label}"
    if noun in ("connections", "servers", "clients", "cores", "workers"):
        return f"{label} {noun[:-1] if label == '1' else noun}"
    return f"{noun} {label}"


def short_names(factors: Iterable[str]) -> dict[str, str]:
    """Each factor's last part where that is enough to tell them apart: `load.connections` is `connections`."""
    names = list(factors)
    last = Counter(name.rpartition(".")[2] for name in names)
    return {name: short if last[short := name.rpartition(".")[2]] == 1 else name for name in names}


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`; empty for none."""
    return "".join(names) if len(names) < 2 else f"{', '.join(names[:-1])} and {names[-1]}"


def count(amount_of: int, noun: str) -> str:
    """`1 trial`, `2 trials`, `1,000 trials`."""
    return f"{amount_of:,} {noun}{'' if amount_of == 1 else 's'}"
