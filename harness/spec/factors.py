"""Reading the factors and exclusions of a spec, with every mistake at its line."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from harness.spec.experiment import LevelSet, Trial
from harness.spec.explain import explain
from harness.spec.levels import Level, Value, is_single_value, label_of, matching, typed_value
from harness.spec.node import Node
from harness.spec.paths import SETTABLE, is_settable, split, unknown_path
from harness.spec.points import Exclusions
from harness.spec.problems import Problems, did_you_mean, listed, shown

MAX_TRIALS = 100_000


@dataclass
class Factor:
    """A factor as it was read: its good levels, and where everything stands."""

    name: str
    line: int
    levels: list[Level] = field(default_factory=list)
    lines: dict[str, Mapping[str, int]] = field(default_factory=dict)  # label: path: line
    seen: dict[tuple[str, str], Level] = field(default_factory=dict)  # by label, by what is set, by folder name
    whole: bool = True  # every level could be read


def read_factors(node: Node | None, problems: Problems) -> list[Factor]:
    """The factors of a spec; those with an unknown name come without levels."""
    found = [_read_factor(name, levels, problems) for name, levels in _items(node)]
    _check_overlap(found, problems)
    return found


def _read_factor(name: str, node: Node, problems: Problems) -> Factor:
    factor = Factor(name, node.place)
    if not is_settable(name):
        problems.add(node.place, *unknown_path(name))
        factor.whole = False
        return factor
    for item in node.value if isinstance(node.value, list) else []:
        level = _read_level(name, item, problems)
        if level is None:
            factor.whole = False
        elif _is_new(level, item.place, factor, problems):
            factor.levels.append(level)
            factor.lines[level.label] = _lines(level, item)
    return factor


def _read_level(name: str, node: Node, problems: Problems) -> Level | None:
    if isinstance(node.value, list):
        fix = f"write a single value, or `{{label: NAME, set: {{{name}: […]}}}}` where the key takes a list"
        problems.add(node.place, f"a level of `{name}` is a list", fix)
        return None
    if is_single_value(name, node.value):
        values = _read_value(name, node, problems)
        return Level(label_of(values[name]), values) if values else None
    if isinstance(node.value, dict) and not {"label", "set"} & set(node.value):
        fix = f"write `{{label: NAME, set: {{{name}: VALUE}}}}` to set several keys"
        fix += ", `{image: NAME, port: 8080}` or `{url: http://host:port}`" if name == "model" else ""
        problems.add(node.place, f"a level of `{name}` is a mapping without `label` and `set`", fix)
        return None
    return _read_level_set(node, problems)


def _read_level_set(node: Node, problems: Problems) -> Level | None:
    try:
        chosen = LevelSet.model_validate(node.plain())
    except ValidationError as error:
        explain(error.errors(), LevelSet, node, problems)
        chosen = None
    values: dict[str, Value] = {}
    for path, value in _items(node.child("set")):
        if not is_settable(path):
            problems.add(value.place, *unknown_path(path))
            chosen = None
        elif one := _read_value(path, value, problems):
            values |= one
        else:
            chosen = None
    return Level(chosen.label, values) if chosen else None


def _read_value(path: str, node: Node, problems: Problems) -> dict[str, Value]:
    """The typed value of one key, under its path; empty when it is wrong."""
    try:
        return {path: typed_value(path, node.plain())}
    except ValidationError as error:
        explain(error.errors(), Trial, node.under(split(path)), problems)
        return {}


def _is_new(level: Level, line: int, factor: Factor, problems: Problems) -> bool:
    """Whether no earlier level has its label, does the same, or would share its folder; then it is remembered."""
    keys = (("label", level.label), ("sets", repr(sorted(level.sets.items(), key=str))), ("slug", level.slug.lower()))
    for key in keys:
        other = factor.seen.get(key)
        if other is not None:
            problems.add(line, *_clash(key[0], level, other, factor))
            return False
    factor.seen.update(dict.fromkeys(keys, level))
    return True


def _clash(kind: str, level: Level, other: Level, factor: Factor) -> tuple[str, str]:
    both = f"{shown(other.label)} and {shown(level.label)}"
    if kind == "label":
        first = min(factor.lines[other.label].values())
        what = f"`{factor.name}` has the level {shown(level.label)} twice (first in line {first})"
        return what, "remove one, or rename its `label`"
    if kind == "sets":
        return f"the levels {both} of `{factor.name}` are the same", "remove one of them"
    return f"the levels {both} would share a folder name", "make their labels differ in more than case and punctuation"


def _lines(level: Level, node: Node) -> dict[str, int]:
    return {path: node.reach(("set", path))[0].place for path in level.sets}


def _check_overlap(factors: Sequence[Factor], problems: Problems) -> None:
    """Two factors that set one key contradict each other in every combination."""
    setter: dict[str, Factor] = {}
    for factor in factors:
        for path in dict.fromkeys(path for level in factor.levels for path in level.sets):
            other = setter.setdefault(path, factor)
            if other is not factor:
                what = f"`{path}` is set by two factors, `{other.name}` (line {other.line}) and `{factor.name}`"
                problems.add(
                    factor.line, what, "let one of them set it, with `{label: …, set: {…}}` levels where needed"
                )
                factor.whole = False


def read_exclusions(node: Node | None, factors: Sequence[Factor], problems: Problems) -> Exclusions:
    """The combinations that a spec leaves out."""
    exclusions = Exclusions([factor.name for factor in factors])
    by_name = {factor.name: factor for factor in factors}
    for item in node.value if node and isinstance(node.value, list) else []:
        entry: dict[str, Level] = {}
        good = isinstance(item.value, dict)
        for name, value in _items(item):
            level = _excluded_level(name, value, by_name, problems)
            entry |= {name: level} if level else {}
            good = good and level is not None
        if good and not entry:
            problems.add(item.place, "an empty entry excludes everything", "name factors and levels, or remove it")
        elif good and exclusions.cover(entry):
            problems.add(item.place, "this excludes nothing that an entry above does not", "remove it")
        elif good:
            exclusions.add(entry)
    return exclusions


def _excluded_level(name: str, node: Node, factors: Mapping[str, Factor], problems: Problems) -> Level | None:
    factor = factors.get(name)
    if factor is None:
        fix = did_you_mean(name, factors, f"exclude by factors: {listed(factors) or 'this spec has none'}")
        problem = "is not varied by a factor" if name in SETTABLE else "is not a factor"
        problems.add(node.place, f"`exclude`: {shown(name)} {problem}", fix)
        return None
    if isinstance(node.value, list | dict):
        problems.add(
            node.place, f"`exclude`: the level of `{name}` is not a single one", "write one entry for each level"
        )
        return None
    level = matching(factor.levels, name, node.value)
    if level is None and factor.whole:
        labels = [known.label for known in factor.levels]
        fix = did_you_mean(str(node.value), labels, f"its levels are {listed(labels[:20])}")
        problems.add(node.place, f"`exclude`: {shown(node.value)} is not a level of `{name}`", fix)
    return level


def within_limit(factors: Sequence[Factor], repeats: int, line: int, problems: Problems) -> bool:
    """Whether the number of trials can be handled; noted when not."""
    trials = math.prod(len(factor.levels) for factor in factors) * repeats
    if trials <= MAX_TRIALS:
        return True
    what = f"this makes {trials:,} trials, more than {MAX_TRIALS:,}"
    problems.add(line, what, "vary fewer levels, repeat less, or split the question")
    return False


def _items(node: Node | None) -> list[tuple[str, Node]]:
    return list(node.value.items()) if node is not None and isinstance(node.value, dict) else []
