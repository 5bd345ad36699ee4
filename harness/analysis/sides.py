"""Which points make one curve of one server and many: those that differ in nothing but `servers`, and in how they are measured.

The number of servers may be a factor of its own, or be set by levels beside other keys. Points that these keys tell apart are
never pooled: another balancer, another algorithm of it, or other limits of a server make another curve.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby

from harness.analysis.study import Point

MEASURED_WITH = frozenset(
    (
        "servers",
        "clients",
        "load.rate",
        "load.connections",
        "load.resolution",
        "load.confirmation",
        "load.warmup",
        "load.window",
    )
)
"""What may grow with the number of servers and leaves the servers and what stands before them as they are."""

FRONT = ("balancer", "balancing.")

Settings = dict[str, str]
"""Value by dotted path."""

Side = tuple[str, list[Point]]
"""What sets it apart, empty: nothing; its points, each with another number of servers."""


def servers_of(point: Point) -> int:
    """How many servers its trials have."""
    return point.rows[0].planned.trial.servers


def balancer_of(point: Point) -> str:
    """What stands before them."""
    return point.rows[0].planned.trial.balancer


def sides(factors: Iterable[str], points: Sequence[Point]) -> Iterator[Side]:
    """The points of each curve, in the order of the spec's levels.

    Args:
        factors: of the plan.
        points: of one run.
    """
    names = [name for name in factors if not _carries_servers(name, points)]
    keys = [tuple(point.factors[name] for name in names) for point in points]
    varied = [at for at in range(len(names)) if len({key[at] for key in keys}) > 1]
    order: dict[tuple[str, ...], list[Point]] = {}
    for point, key in zip(points, keys, strict=True):
        order.setdefault((*(key[at] for at in varied), point.rows[0].planned.trial.model_name), []).append(point)
    for (*labels, model), group in order.items():
        for difference, part in _apart(group):
            yield ", ".join([*labels, *filter(None, [difference])]) or ("" if len(order) == 1 else model), part


def _carries_servers(name: str, points: Sequence[Point]) -> bool:
    """Whether the number of servers changes along this factor, all others being the same."""

    def rest(point: Point) -> list[tuple[str, str]]:
        return sorted((other, label) for other, label in point.factors.items() if other != name)

    groups = groupby(sorted(points, key=rest), key=rest)
    return any(len({servers_of(point) for point in group}) > 1 for _, group in groups)


def _apart(points: Sequence[Point]) -> Iterator[Side]:
    """By what they differ in; where two have the same number of servers still, by how they are measured, too, or each alone."""
    for difference, part in _alike(points, MEASURED_WITH):
        if _one_each(part):
            yield difference, part
            continue
        for finer, smaller in _alike(part, {"servers", "load.rate"}):
            said = ", ".join(filter(None, (difference, finer)))
            if _one_each(smaller):
                yield said, smaller
            else:
                yield from ((point.id, [point]) for point in smaller)


def _one_each(points: Sequence[Point]) -> bool:
    return len({servers_of(point) for point in points}) == len(points)


def _alike(points: Sequence[Point], free: AbstractSet[str]) -> list[Side]:
    """Points that differ in free settings only. One server without a balancer belongs to every balancer that goes with it."""
    settings = [_settings(point, free) for point in points]
    kinds: list[Settings] = []
    for found in settings:
        joins = found["balancer"] == "none" and any(
            _rest(found) == _rest(other) for other in settings if other != found
        )
        if found not in kinds and not joins:
            kinds.append(found)
    varied = [path for path in dict.fromkeys(path for kind in kinds for path in kind) if _differs(path, kinds)]
    return [
        (
            ", ".join(_in_words(path, kind) for path in varied),
            [point for point, own in zip(points, settings, strict=True) if _belongs(own, kind)],
        )
        for kind in kinds
    ]


def _belongs(own: Settings, kind: Settings) -> bool:
    return own == kind or (own["balancer"] == "none" and _rest(own) == _rest(kind))


def _rest(settings: Settings) -> Settings:
    """All but what stands before the servers."""
    return {path: value for path, value in settings.items() if not path.startswith(FRONT)}


def _differs(path: str, kinds: Sequence[Settings]) -> bool:
    return len({kind.get(path) for kind in kinds}) > 1


def _in_words(path: str, kind: Settings) -> str:
    """`haproxy-tcp`, `balancing.algorithm leastconn`."""
    if path == "balancer":
        return kind[path]
    return f"{path} {kind[path]}" if path in kind else f"no {path}"


def _settings(point: Point, free: AbstractSet[str]) -> Settings:
    trial = point.rows[0].planned.trial
    found = {path: value for path, value in _flat("", trial.model_dump(mode="json")) if path not in free}
    if trial.balanced:
        return found
    return {path: value for path, value in found.items() if not path.startswith("balancing.")}


def _flat(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat(f"{path}.{name}" if path else name, part)
    else:
        yield path, f"{value}"
