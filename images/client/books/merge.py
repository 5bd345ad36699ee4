"""The reports of a client's processes, made one: exactly what a single process would have counted. Pure.

Counts add up, and so do histograms, bucket by bucket, as all are in one layout: the sum is the histogram of all values
together. What must be equal (the window's edges) is checked, and so is that every process reports the same things.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from client.books import growth

Report = Mapping[str, Any]
_Merge = Callable[[Sequence[Any]], Any]


class UnlikeError(ValueError):
    """The reports are not of one run."""


def merge(reports: Sequence[Report]) -> dict[str, Any]:
    """One report of several processes of the same run.

    Args:
        reports: one of each process, as read from JSON.

    Raises:
        UnlikeError: they are not of one run: other edges, or other things counted.
    """
    return _record(_REPORT)(reports)


def _record(rules: Mapping[str, _Merge]) -> Callable[[Sequence[Report]], dict[str, Any]]:
    """Merge objects key by key. A key without a rule is an error: whatever is counted must be counted of all."""

    def merged(parts: Sequence[Report]) -> dict[str, Any]:
        keys = list(parts[0])
        if any(set(part) != set(keys) for part in parts):
            raise UnlikeError("the processes report different things")
        if unknown := sorted(set(keys) - set(rules)):
            raise UnlikeError(f"nobody knows how to merge {', '.join(unknown)}")
        found = {}
        for key in keys:
            try:
                found[key] = rules[key]([part[key] for part in parts])
            except UnlikeError as error:
                raise UnlikeError(f"{key}: {error}") from None
        return found

    return merged


def _same(values: Sequence[Any]) -> Any:  # noqa: ANN401 - whatever JSON holds there
    """What all must agree on."""
    if any(value != values[0] for value in values):
        raise UnlikeError(f"{' and '.join(sorted({str(value) for value in values}))} in one run")
    return values[0]


def _sum_if_known(values: Sequence[Any]) -> Any:  # noqa: ANN401 - a number, or None
    """None as soon as one does not know: the rest is not the whole."""
    return None if any(value is None for value in values) else sum(values)


def _last_if_known(values: Sequence[Any]) -> Any:  # noqa: ANN401 - a time, or None
    """The latest of all."""
    return None if any(value is None for value in values) else max(values)


def _by_name(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Counts by kind."""
    total: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total


def _by_bucket(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Histograms: counts by bucket, in the buckets' order."""
    total = _by_name(parts)
    return {bucket: total[bucket] for bucket in sorted(total, key=int)}


def _histograms(parts: Sequence[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """Histograms by name; one that a process does not have is empty there."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: _by_bucket([part.get(name, {}) for part in parts]) for name in names}


def _each(rule: _Merge) -> _Merge:
    """Lists of equal length, element by element."""

    def merged(lists: Sequence[Sequence[Any]]) -> list[Any]:
        _same([len(each) for each in lists])
        return [rule(elements) for elements in zip(*lists, strict=True)]

    return merged


def _concatenated(lists: Sequence[Sequence[Any]]) -> list[Any]:
    return [element for each in lists for element in each]


def _unless_none(rule: _Merge) -> _Merge:
    """None where all are, else the rule's."""
    return lambda values: None if all(value is None for value in values) else rule(values)


_PHASE = _record(
    {
        **dict.fromkeys(("from_ns", "to_ns", "rate_per_s"), _same),
        **dict.fromkeys(("intended", "sent", "ok", "completed"), sum),
        "errors": _by_name,
        "histograms": _histograms,
    }
)
_MIX_SHARE = _record({"intended": sum, "ok": sum, "errors": _by_name, "response": _by_bucket})
_SERVER = _record(dict.fromkeys(("connections", "completed_in_window", "failed_in_window", "life_ok"), sum))

_REPORT: Mapping[str, _Merge] = {
    **dict.fromkeys(("format", "start_ns", "window_start_ns", "window_end_ns"), _same),
    "begun_ns": _last_if_known,
    **dict.fromkeys(
        (
            "intended",
            "sent",
            "ok",
            "completed_in_window",
            "in_flight_integral_s",
            "in_flight_starved_integral_s",
            "residence_s",
            "connections_opened",
            "connections_served",
            "connections_starved",
            "connect_missing",
            "first_byte_missing",
            "life_ok",
            "life_unknown",
            "bytes_received",
            "cpu_user_s",
            "cpu_system_s",
        ),
        sum,
    ),
    **dict.fromkeys(("schedule", "connections_lost", "connections_unclosed"), _sum_if_known),
    "errors": _by_name,
    **dict.fromkeys(("per_100ms", "errors_per_100ms"), _each(sum)),
    "processes": _concatenated,
    "phases": _each(_PHASE),
    "mix": _each(_MIX_SHARE),
    "by_server": _each(_SERVER),
    "growth": _unless_none(growth.merged),
    "histograms": _histograms,
}
